// A bug that nobody catches: what was thrown ends the gateway, a promise that nobody waits for does not; and neither shows
// more of itself than the log would.
import { expect, inject, test } from 'vitest';
import { mintToken } from '../../src/domain/token.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { type GatewayProgram, startGatewayProgram } from '../support/program.ts';

const TOKEN = mintToken('LIVE');
const ADDRESS = 'somebody@example.test';
const DETAIL = 'Key (email)=(of a person) already exists.';

/** A gateway in which that happens soon after its start. */
function withBug(how: 'throw' | 'Promise.reject'): GatewayProgram {
  const bug = `${how}(Object.assign(new Error('${TOKEN} of ${ADDRESS}'), { detail: '${DETAIL}' }))`;
  const preload = `data:text/javascript,setTimeout(() => { ${encodeURIComponent(bug)} }, 10)`;
  const settings = { DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET };
  return startGatewayProgram(settings, ['--import', preload]);
}

function lastLine({ output }: GatewayProgram): unknown {
  return JSON.parse(output.stderr.trim().split('\n').at(-1) ?? '');
}

function expectNoSecret({ output }: GatewayProgram): void {
  for (const secret of [TOKEN, ADDRESS, DETAIL]) expect(output.stderr + output.stdout).not.toContain(secret);
}

test('thrown', async () => {
  const program = withBug('throw');
  program.url.catch(() => undefined);
  expect(await program.ended).toEqual({ code: 1, signal: null });
  expect(lastLine(program)).toMatchObject({ level: 'fatal', msg: 'a bug that nobody caught' });
  expectNoSecret(program);
});

test('a promise that nobody waits for', async () => {
  const program = withBug('Promise.reject');
  const url = await program.url;
  await expect.poll(() => program.output.stderr).toContain('a promise that nobody waited for has failed');
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expectNoSecret(program);
  expect(await program.kill('SIGTERM')).toEqual({ code: 0, signal: null });
});

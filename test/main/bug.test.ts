// A bug that nobody catches ends the gateway, and shows no more of itself than the log would.
import { expect, inject, test } from 'vitest';
import { mintToken } from '../../src/domain/token.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { startProgram } from '../support/program.ts';

const TOKEN = mintToken('LIVE');
const ADDRESS = 'somebody@example.test';
const DETAIL = 'Key (email)=(of a person) already exists.';

test.for([
  ['thrown', 'throw'],
  ['a promise that nobody waits for', 'Promise.reject'],
] as const)('%s', async ([, how]) => {
  const bug = `${how}(Object.assign(new Error('${TOKEN} of ${ADDRESS}'), { detail: '${DETAIL}' }))`;
  const preload = `data:text/javascript,setTimeout(() => { ${encodeURIComponent(bug)} }, 10)`;
  const settings = { PORT: '0', DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET };
  const { ended, output } = startProgram(process.execPath, ['--import', preload, 'src/main.ts'], settings);
  expect(await ended).toEqual({ code: 1, signal: null });
  const last = output.stderr.trim().split('\n').at(-1) ?? '';
  expect(JSON.parse(last)).toMatchObject({ level: 'fatal', msg: 'a bug that nobody caught' });
  for (const secret of [TOKEN, ADDRESS, DETAIL]) expect(output.stderr + output.stdout).not.toContain(secret);
});

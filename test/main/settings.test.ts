// A start that cannot be: why, in words that a person can act upon, and never with a secret in them.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, inject, test } from 'vitest';
import { TEST_SECRET } from '../support/gateway.ts';
import { startGatewayProgram } from '../support/program.ts';

const PASSWORD = 'hunter2-in-the-url';

async function refused(settings: Record<string, string>): Promise<string> {
  const { ended, output } = startGatewayProgram(settings);
  expect(await ended).toEqual({ code: 1, signal: null });
  expect(output.stdout).toBe('');
  return output.stderr;
}

/** The server that the tests run on, with a user, password or database of another name. */
function serverUrl(change: (url: URL) => void): string {
  const url = new URL(inject('databaseUrl'));
  url.password = PASSWORD;
  change(url);
  return url.href;
}

test('lists all faults of the settings at once, by name and bound, and echoes no value', async () => {
  const settings = {
    PORT: '65536',
    DATABASE_URL: `mysql://root:${PASSWORD}@db/x`,
    GATEHOUSE_SECRETS: 'far-too-short',
    LOG_LEVEL: 'chatty-level',
    CORS_ORIGINS: 'https://example.org/with-a-path',
    BODY_LIMIT_BYTES: '12e3',
    SHUTDOWN_TIMEOUT_MS: '-1000',
    GATEHOUSE_SECRET: 'misspelt-name-of-a-secret',
  };
  const said = await refused(settings);
  const lines = said.split('\n').filter((line) => line.startsWith('  '));
  expect(lines.map((line) => line.trim().split(' ')[0]).sort()).toEqual(Object.keys(settings).sort());
  for (const value of Object.values(settings)) expect(said).not.toContain(value);
  expect(said).not.toContain(PASSWORD);
  expect(said).toContain('PORT must be a whole number from 0 to 65535');
});

const OUT_OF_REACH = 'The database of DATABASE_URL is out of reach: see that it runs and that the address is right.\n';

test.for([
  ['nobody listens there', (): string => `postgres://gatehouse:${PASSWORD}@127.0.0.1:1/gatehouse`, OUT_OF_REACH],
  [
    'there is no such host',
    (): string => `postgres://gatehouse:${PASSWORD}@no.such.host.invalid/gatehouse`,
    OUT_OF_REACH,
  ],
  [
    'it has no such database',
    (): string => serverUrl((url) => (url.pathname = '/no_such_database')),
    'The database that DATABASE_URL names does not exist: create it, or correct the name.\n',
  ],
  [
    'it has no such user',
    (): string => serverUrl((url) => (url.username = 'no_such_user')),
    'The database of DATABASE_URL does not let this user in: see its name and password.\n',
  ],
] as const)(
  'says in one sentence that the database cannot be used, without its password: %s',
  async ([, url, sentence]) => {
    expect(await refused({ DATABASE_URL: url(), GATEHOUSE_SECRETS: TEST_SECRET })).toBe(sentence);
  },
);

const POSTGRES = () => ({ DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET });

test('says in one sentence that the port is taken', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  expect(await refused({ ...POSTGRES(), PORT: String(port) })).toBe(
    'The port is taken by another program: end it, or set PORT to a free one.\n',
  );
  other.close();
});

test('says in one sentence that HOST is not its own address', async () => {
  expect(await refused({ ...POSTGRES(), HOST: 'no.such.host.invalid' })).toBe('HOST is no address of this machine.\n');
});

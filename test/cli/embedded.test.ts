/** The command line on the embedded database: alone, and beside a gateway that is running on it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { graphql } from '../support/client.ts';
import { runCommand, startGatewayProgram } from '../support/program.ts';
import { serversIn } from '../support/servers.ts';

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'));
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

async function answer(...args: string[]): Promise<unknown> {
  const { code, stdout } = await runCommand([...args, '--json'], { DATA_DIR: dataDir });
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

test('without a gateway each command starts the server and stops it; with one it attaches to it', async () => {
  await answer('network', 'create', '--slug', 'acme', '--name', 'Acme');
  expect(await serversIn(dataDir)).toEqual([]);
  await answer('admin', 'create', '--network', 'acme', '--email', 'ada@acme.test', '--name', 'Ada');
  const gateway = startGatewayProgram({ DATA_DIR: dataDir, LOG_LEVEL: 'silent' });
  const url = await gateway.url;
  const [server] = await serversIn(dataDir);
  const made = await answer('key', 'create', '--network', 'acme', '--name', 'CI', '--scope', 'members:read');
  const { id, token } = made as { id: string; token: string };
  expect((await graphql(url, token, '{ me { id } }')).status).toBe(200);
  await answer('key', 'revoke', '--network', 'acme', id);
  expect((await graphql(url, token, '{ me { id } }')).status).toBe(401);
  expect(await serversIn(dataDir)).toEqual([server]);
  await gateway.kill('SIGTERM');
  expect(await serversIn(dataDir)).toEqual([]);
});

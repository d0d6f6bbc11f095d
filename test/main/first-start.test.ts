// What a person sees who starts Gatehouse for the first time, and for the second.
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { deleteNetwork, findNetwork } from '../../src/services/networks.ts';
import { graphql } from '../support/client.ts';
import { dataFolder } from '../support/data-folder.ts';
import { type GatewayProgram, printedToken, startGatewayProgram, startProgram } from '../support/program.ts';

const SECOND_START_MAX_MS = 2_000;
const TOKEN = /gk_(?:live|test)_/;

/** A folder on which a first start has been made and ended. */
let dataDir = '';
let first: GatewayProgram;
let curl = '';
let pasted = '';
let members: readonly string[] = [];
beforeAll(async () => {
  dataDir = await dataFolder();
  first = startGatewayProgram({ DATA_DIR: dataDir });
  const url = await first.url;
  curl = first.output.stdout.split('\n').find((line) => line.startsWith('curl ')) ?? '';
  const bash = startProgram('bash', ['-c', curl]);
  await bash.ended;
  pasted = bash.output.stdout;
  members = await allMembers(url, printedToken(first) ?? '');
  await first.kill('SIGTERM');
});

async function allMembers(url: string, token: string): Promise<string[]> {
  const ids: string[] = [];
  for (let after: string | null = null, more = true; more; ) {
    const query =
      'query ($after: String) { members(first: 250, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } } }';
    const { body } = await graphql(url, token, query, { variables: { after } });
    ids.push(...body.data.members.nodes.map(({ id }: { id: string }) => id));
    ({ endCursor: after, hasNextPage: more } = body.data.members.pageInfo);
  }
  return ids;
}

describe('the first start on an empty folder', () => {
  test('prints a curl that works when it is pasted into a shell', () => {
    const { data, errors } = JSON.parse(pasted);
    expect(errors).toBeUndefined();
    expect(data.me).toMatchObject({ name: 'Ada Demo', networkId: expect.stringMatching(/^net_/) });
    expect(data.members.nodes).toHaveLength(3);
  });

  test('makes 1,000 members', () => {
    expect(new Set(members).size).toBe(1_000);
    expect(members).toHaveLength(1_000);
    expect(first.output.stdout).toContain('1,000 members');
  });

  test('prints the token on standard output, once, and the log knows nothing of it', () => {
    expect(first.output.stdout.split(TOKEN)).toHaveLength(2);
    expect(first.output.stderr).not.toMatch(TOKEN);
  });

  test('keeps the token nowhere: not in any file of its folder', async () => {
    const secret = Buffer.from((printedToken(first) ?? '').slice('gk_live_'.length));
    const files = await readdir(dataDir, { recursive: true, withFileTypes: true });
    let bytes = 0;
    for (const file of files.filter((entry) => entry.isFile())) {
      const content = await readFile(join(file.parentPath, file.name));
      bytes += content.length;
      expect(content.includes(secret), file.name).toBe(false);
    }
    // The members are in there: what was read is the database.
    expect(bytes).toBeGreaterThan(10_000_000);
  });
});

describe('the second start', () => {
  test(`answers within ${SECOND_START_MAX_MS} ms, has the same members, and prints no token`, async () => {
    let best = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 3 && best > SECOND_START_MAX_MS; attempt += 1) {
      const begunAt = performance.now();
      const second = startGatewayProgram({ DATA_DIR: dataDir });
      const { status } = await fetch(`${await second.url}/readyz`);
      best = Math.min(best, performance.now() - begunAt);
      expect(status).toBe(200);
      expect(await allMembers(await second.url, printedToken(first) ?? '')).toEqual(members);
      expect(second.output.stdout + second.output.stderr).not.toMatch(TOKEN);
      await second.kill('SIGTERM');
    }
    // A machine with more to do than it has processors is slower by that much.
    const slowness = Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
    expect(best).toBeLessThan(SECOND_START_MAX_MS * slowness);
  });

  test('does not bring back a demo that was deleted', async () => {
    const database = await openDatabase({ dataDir, poolSize: 2, statementTimeoutMs: 30_000 });
    const demo = await findNetwork(database, 'demo');
    expect((await deleteNetwork(database, COMMAND_LINE, demo?.id ?? '')).ok).toBe(true);
    await database.close();
    const next = startGatewayProgram({ DATA_DIR: dataDir });
    const { status, body } = await graphql(await next.url, printedToken(first), '{ me { id } }');
    expect([status, body.errors?.[0]?.message]).toEqual([401, 'Invalid API token']);
    expect(next.output.stdout).not.toMatch(TOKEN);
    expect(next.output.stdout).not.toContain('demo');
    await next.kill('SIGTERM');
  });
});

test('a first start that found its port taken has not used the demo’s token up', async () => {
  const folder = await dataFolder();
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  const refused = startGatewayProgram({ DATA_DIR: folder, PORT: String(port) });
  const { code } = await refused.ended;
  other.close();
  expect(code).toBe(1);
  expect(refused.output.stderr).toBe('The port is taken by another program: end it, or set PORT to a free one.\n');
  const next = startGatewayProgram({ DATA_DIR: folder });
  const { status } = await graphql(await next.url, printedToken(next), '{ me { id } }');
  expect(status).toBe(200);
  await next.kill('SIGTERM');
});

test('on an address that others can reach it prints no token', async () => {
  const open = startGatewayProgram({ DATA_DIR: await dataFolder(), HOST: '0.0.0.0' });
  await open.url;
  expect(open.output.stdout + open.output.stderr).not.toMatch(TOKEN);
  expect(open.output.stdout).toContain('key create --network demo');
  await open.kill('SIGTERM');
});

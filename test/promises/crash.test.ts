// Promise 7: what was acknowledged survives a kill -9 of any process, on the embedded database too.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { graphql } from '../support/client.ts';
import { dataFolder, serversIn } from '../support/data-folder.ts';
import { type GatewayProgram, printedToken, runCommand, startGatewayProgram, startProgram } from '../support/program.ts';

const KILLS = 3;
const CLIENTS = 4;
/** Acknowledged between one kill and the next, at the least. */
const TOKENS_A_KILL = 15;
const MEMBERS = 12_000;
const CREATE = 'mutation ($name: String!) { createApiKey(input: { name: $name, scopes: [] }) { token userErrors { code } } }';

let dataDir = '';
let token = '';
beforeAll(async () => {
  dataDir = await dataFolder();
  const first = startGatewayProgram({ DATA_DIR: dataDir });
  await first.url;
  token = printedToken(first) ?? '';
  // A plan that limits nothing here.
  const plan = ['network', 'update', 'demo', '--plan', 'custom', '--requests-per-minute', '1000000'];
  const { code, stderr } = await runCommand(plan, { DATA_DIR: dataDir });
  expect(code, stderr).toBe(0);
  await first.kill('SIGTERM');
});

interface Stream {
  /** The tokens that came back whole. */
  readonly tokens: readonly string[];
  /** The codes of the refusals, and of the connections that broke. */
  readonly failures: ReadonlySet<string>;
  stop(): Promise<void>;
}

let names = 0;

/** Creates keys without pause, whatever comes back. */
function streamKeys(url: string): Stream {
  const state = { stopped: false, tokens: [] as string[], failures: new Set<string>() };
  const create = async () => {
    while (!state.stopped) {
      names += 1;
      try {
        const { body } = await graphql(url, token, CREATE, { variables: { name: `crash ${names}` } });
        const made = body.data?.createApiKey?.token;
        if (made == null) state.failures.add(body.errors?.[0]?.extensions.code ?? JSON.stringify(body));
        else state.tokens.push(made);
      } catch {
        state.failures.add('connection');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const clients = Array.from({ length: CLIENTS }, create);
  return {
    tokens: state.tokens,
    failures: state.failures,
    async stop() {
      state.stopped = true;
      await Promise.all(clients);
    },
  };
}

async function untilMore({ tokens }: Stream): Promise<void> {
  const enough = tokens.length + TOKENS_A_KILL + Math.floor(Math.random() * TOKENS_A_KILL);
  await expect.poll(() => tokens.length, { timeout: 30_000, interval: 2 }).toBeGreaterThanOrEqual(enough);
}

async function expectAllWork(url: string, tokens: readonly string[]): Promise<void> {
  for (const made of tokens) {
    const { status } = await graphql(url, made, '{ me { id } }');
    expect(status).toBe(200);
  }
}

async function killPostgres(): Promise<void> {
  const servers = await serversIn(dataDir);
  expect(servers).toHaveLength(1);
  for (const pid of servers) process.kill(pid, 'SIGKILL');
}

describe('every token that was returned works', () => {
  test.for([
    ['the gateway', async (gateway: GatewayProgram) => void (await gateway.kill('SIGKILL'))],
    ['the gateway and PostgreSQL', (gateway: GatewayProgram) => Promise.all([killPostgres(), gateway.kill('SIGKILL')])],
  ] as const)(`after a kill -9 of %s, ${KILLS} times`, async ([, kill]) => {
    const returned: string[] = [];
    for (let round = 0; round < KILLS; round += 1) {
      const gateway = startGatewayProgram({ DATA_DIR: dataDir });
      const stream = streamKeys(await gateway.url);
      await untilMore(stream);
      await kill(gateway);
      await stream.stop();
      returned.push(...stream.tokens);
      const next = startGatewayProgram({ DATA_DIR: dataDir });
      await expectAllWork(await next.url, round < KILLS - 1 ? stream.tokens : returned);
      await next.kill('SIGTERM');
    }
    expect(returned.length).toBeGreaterThanOrEqual(KILLS * TOKENS_A_KILL);
  });

  test(`after a kill -9 of PostgreSQL under a gateway that goes on, ${KILLS} times`, async () => {
    const gateway = startGatewayProgram({ DATA_DIR: dataDir });
    const url = await gateway.url;
    const stream = streamKeys(url);
    for (let round = 0; round < KILLS; round += 1) {
      await untilMore(stream);
      await killPostgres();
    }
    await untilMore(stream);
    await stream.stop();
    await expectAllWork(url, stream.tokens);
    // In between it says that it is out of reach, and for how long to wait: nothing else.
    expect(stream.failures).toEqual(new Set(['SERVICE_UNAVAILABLE']));
    expect(gateway.output.stderr).not.toContain('"level":"error"');
    await gateway.kill('SIGTERM');
  });
});

describe('every line that was reported is there', () => {
  const line = (index: number) =>
    JSON.stringify({ externalId: `crash-${index}`, email: `crash-${index}@example.test`, name: `Crash ${index}` });
  const importing = (file: string) => ['src/cli/main.ts', '--json', 'member', 'import', '--network', 'demo', file];

  async function imported(): Promise<Set<number>> {
    const database = await openDatabase({ dataDir, poolSize: 2, statementTimeoutMs: 30_000 });
    const where = { externalId: { startsWith: 'crash-' } };
    const members = await database.prisma.member.findMany({ where, select: { externalId: true } });
    await database.close();
    return new Set(members.map(({ externalId }) => Number(externalId?.slice('crash-'.length))));
  }

  test.for(['PostgreSQL', 'the importer', 'both'] as const)('after a kill -9 of %s in the middle of an import', async (victim) => {
    const folder = await mkdtemp(join(tmpdir(), 'gh-import-'));
    const file = join(folder, 'members.jsonl');
    await writeFile(file, Array.from({ length: MEMBERS }, (_, index) => line(index)).join('\n'));
    const gateway = startGatewayProgram({ DATA_DIR: dataDir });
    await gateway.url;

    const importer = startProgram(process.execPath, importing(file), { DATA_DIR: dataDir });
    const before = await imported();
    await expect.poll(async () => (await imported()).size, { timeout: 30_000, interval: 1 }).toBeGreaterThan(before.size);
    if (victim !== 'the importer') await killPostgres();
    if (victim !== 'PostgreSQL') importer.kill('SIGKILL');
    await importer.ended;
    const { created, updated, unchanged } = { created: 0, updated: 0, unchanged: 0, ...parsed(importer.output.stdout) };

    const there = await imported();
    // Lines are taken in their order, so what was reported are the first so many.
    for (let index = 0; index < created + updated + unchanged; index += 1) expect(there.has(index)).toBe(true);
    expect(there.size % 1_000).toBe(0); // batches are whole, or not there

    const again = startProgram(process.execPath, importing(file), { DATA_DIR: dataDir });
    expect(await again.ended, again.output.stderr).toEqual({ code: 0, signal: null });
    expect(parsed(again.output.stdout)).toMatchObject({ created: MEMBERS - there.size, unchanged: there.size, rejectedCount: 0 });
    expect((await imported()).size).toBe(MEMBERS);
    await gateway.kill('SIGTERM');
    await rm(folder, { recursive: true });
  });
});

function parsed(stdout: string): Record<string, number> {
  return stdout === '' ? {} : JSON.parse(stdout);
}

// Promise 7: what was acknowledged survives a kill -9 of any process, on the embedded database too.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { graphql } from '../support/client.ts';
import { dataFolder } from '../support/data-folder.ts';
import { printedToken, runCommand, startGatewayProgram, startProgram } from '../support/program.ts';
import { serversIn } from '../support/servers.ts';

const KILLS = 2;
const CLIENTS = 4;
/** Acknowledged between one kill and the next, at the least. */
const TOKENS_A_KILL = 15;
const MEMBERS = 20_000;
const CREATE =
  'mutation ($name: String!) { createApiKey(input: { name: $name, scopes: [] }) { token userErrors { code } } }';

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

/** A gateway that has lost its PostgreSQL starts it again: on a machine that is busy otherwise that takes its time. */
const BUSY_TIMEOUT_MS = 60_000;

async function untilMore({ tokens }: Stream): Promise<void> {
  const enough = tokens.length + TOKENS_A_KILL + Math.floor(Math.random() * TOKENS_A_KILL);
  await expect.poll(() => tokens.length, { timeout: BUSY_TIMEOUT_MS, interval: 2 }).toBeGreaterThanOrEqual(enough);
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
  const KILLED = ['the gateway and PostgreSQL', 'the gateway'] as const;
  test(`after a kill -9 of ${KILLED.join(', then of ')}`, async () => {
    const returned: string[] = [];
    let gateway = startGatewayProgram({ DATA_DIR: dataDir });
    for (const killed of KILLED) {
      const stream = streamKeys(await gateway.url);
      await untilMore(stream);
      if (killed === 'the gateway and PostgreSQL') await killPostgres();
      await gateway.kill('SIGKILL');
      await stream.stop();
      returned.push(...stream.tokens);
      gateway = startGatewayProgram({ DATA_DIR: dataDir });
      await expectAllWork(await gateway.url, stream.tokens);
    }
    expect(returned.length).toBeGreaterThanOrEqual(KILLED.length * TOKENS_A_KILL);
    await expectAllWork(await gateway.url, returned);
    await gateway.kill('SIGTERM');
  });

  test(
    `after a kill -9 of PostgreSQL under a gateway that goes on, ${KILLS} times`,
    async () => {
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
      // In between it says that the database is out of reach, and nothing else.
      expect(stream.failures).toEqual(new Set(['SERVICE_UNAVAILABLE']));
      expect(gateway.output.stderr).not.toContain('"level":"error"');
      await gateway.kill('SIGTERM');
    },
    4 * BUSY_TIMEOUT_MS,
  );
});

describe('every line that was reported is there', () => {
  const importing = (file: string) => ['src/cli/main.ts', '--json', 'member', 'import', '--network', 'demo', file];

  test.for(['postgres', 'importer'] as const)(
    'after a kill -9 of the %s in the middle of an import',
    async (victim) => {
      const file = join(await dataFolder(), 'members.jsonl');
      const line = (index: number) =>
        JSON.stringify({ externalId: `${victim}-${index}`, email: `${victim}-${index}@example.test`, name: 'X' });
      await writeFile(file, Array.from({ length: MEMBERS }, (_, index) => line(index)).join('\n'));
      const gateway = startGatewayProgram({ DATA_DIR: dataDir });
      await gateway.url;
      const database = await openDatabase({ dataDir, poolSize: 2, statementTimeoutMs: 30_000 });
      const imported = async () => {
        const like = 'SELECT external_id AS id FROM members WHERE external_id LIKE $1';
        const { rows } = await database.pool.query<{ id: string }>(like, [`${victim}-%`]);
        return new Set(rows.map(({ id }) => Number(id.slice(victim.length + 1))));
      };

      const importer = startProgram(process.execPath, importing(file), { DATA_DIR: dataDir });
      await expect.poll(async () => (await imported()).size, { timeout: 30_000, interval: 1 }).toBeGreaterThan(0);
      if (victim === 'postgres') await killPostgres();
      else await importer.kill('SIGKILL');
      await importer.ended;
      const { created = 0 } = parsed(importer.output.stdout);
      await expect
        .poll(
          () =>
            imported()
              .then(() => true)
              .catch(() => false),
          { timeout: 30_000 },
        )
        .toBe(true);
      const there = await imported();
      expect(there.size).toBeLessThan(MEMBERS);
      // Lines are taken in their order, so what was reported are the first so many.
      for (let index = 0; index < created; index += 1) expect(there.has(index)).toBe(true);
      if (victim === 'postgres') expect(created).toBeGreaterThan(0);

      const again = startProgram(process.execPath, importing(file), { DATA_DIR: dataDir });
      expect(await again.ended, again.output.stderr).toEqual({ code: 0, signal: null });
      expect(parsed(again.output.stdout)).toMatchObject({ created: MEMBERS - there.size, unchanged: there.size });
      expect((await imported()).size).toBe(MEMBERS);
      await database.close();
      await gateway.kill('SIGTERM');
    },
  );
});

function parsed(stdout: string): Record<string, number> {
  return stdout === '' ? {} : JSON.parse(stdout);
}

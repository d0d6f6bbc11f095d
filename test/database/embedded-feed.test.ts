/** The feed of changes across a copy of the embedded database's folder, which PostgreSQL itself takes for the original. */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { graphql } from '../support/client.ts';
import { dataFolder } from '../support/data-folder.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { startTestGateway } from '../support/gateway.ts';

const CHANGES = `query($after: String) {
  memberChanges(after: $after) { changes { member { name } } position }
}`;

test('who heard of what the copy has not starts over; who had not goes on, and so does a mere restart', async () => {
  const dataDir = await dataFolder();
  const [kept, copy] = [join(dataDir, 'postgres'), join(dataDir, 'copy')];
  /** Changes in turn, each by its own transaction; then where a caught-up client stands. */
  const inDatabase = async <Result>(work: (ask: Ask, add: Add) => Promise<Result>): Promise<Result> => {
    const gateway = await startTestGateway({ DATABASE_URL: '', DATA_DIR: dataDir });
    const database = await openDatabase({ url: undefined, dataDir, poolSize: 2, statementTimeoutMs: 30_000 });
    try {
      own ??= await makeNetwork(database);
      const { network, token } = own;
      const ask: Ask = async (after) => {
        const { body } = await graphql(gateway.url, token, CHANGES, { variables: { after } });
        const code = body.errors?.[0]?.extensions.code ?? null;
        const { changes = [], position = '' } = body.data?.memberChanges ?? {};
        return { code, names: changes.map(({ member }: { member: { name: string } }) => member.name), position };
      };
      const add: Add = async (...names) => {
        for (const name of names) await makeMembers(database, network.id, 1, () => ({ name }));
      };
      return await work(ask, add);
    } finally {
      await database.close();
      await gateway.close();
    }
  };
  let own: Awaited<ReturnType<typeof makeNetwork>> | undefined;

  const early = await inDatabase(async (ask, add) => {
    await add('a');
    return (await ask((await ask()).position)).position;
  });
  await cp(kept, copy, { recursive: true, preserveTimestamps: true });
  const late = await inDatabase(async (ask, add) => {
    expect(await ask(early)).toMatchObject({ code: null, names: [] });
    await add('lost', 'lost too');
    return (await ask(early)).position;
  });
  await rm(kept, { recursive: true });
  await cp(copy, kept, { recursive: true, preserveTimestamps: true });
  await inDatabase(async (ask, add) => {
    expect((await ask(late)).code).toBe('POSITION_EXPIRED');
    await add('new', 'newer', 'newest');
    expect((await ask(late)).code).toBe('POSITION_EXPIRED');
    expect(await ask(early)).toMatchObject({ code: null, names: ['new', 'newer', 'newest'] });
  });
}, 120_000);

type Ask = (after?: string) => Promise<{ code: string | null; names: string[]; position: string }>;
type Add = (...names: string[]) => Promise<void>;

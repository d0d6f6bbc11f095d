/** What an import would do is what it then does, and nothing of it is done before. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { newUuid } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { BATCH_MAX_RECORDS, importMembers } from '../../src/services/members/import.ts';
import { makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { importReport, importText, inChunks, jsonLines, membersOf } from './members.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function newNetwork(): Promise<string> {
  return (await makeNetwork(database)).network.id;
}

/** All that an import writes. */
async function stateOf(networkId: string): Promise<unknown> {
  const { prisma } = database;
  const feed = await prisma.memberFeed.findUnique({ where: { networkId } });
  return [await membersOf(database, networkId), feed, await prisma.auditEvent.count({ where: { networkId } })];
}

test('the report is that of the import, over several batches, and nothing is written', async () => {
  const network = await newNetwork();
  const there = { email: 'there@x.org', name: 'There', externalId: 't', createdAt: '2024-01-02', lastActiveAt: null };
  await importText(database, network, 'jsonl', jsonLines(there, { email: 'other@x.org', name: 'Other' }));
  const many = Array.from({ length: BATCH_MAX_RECORDS }, (_, index) => ({
    email: `${index}@x.org`,
    name: 'N',
    n: index,
  }));
  const lines = jsonLines(
    { ...there, name: 'Changed', tags: ['a'] },
    ...many,
    // In the second batch, members as the first one leaves them: unchanged, changed again, moved, and in conflict.
    { ...there, name: 'Changed', tags: ['a'] },
    { email: '7@x.org', name: 'N', n: 7 },
    { email: '8@x.org', name: 'N', n: 'eight', lastActiveAt: '2024-01-02T03:04:05Z' },
    { email: 'moved@x.org', name: 'Changed', externalId: 't' },
    { email: 'there@x.org', name: 'Somebody new' },
    { email: 'other@x.org', name: 'Other', externalId: 't' },
    { email: 'nobody', name: 'Nobody' },
  );
  const before = await stateOf(network);
  const dry = await importReport(database, network, 'jsonl', lines, { isDryRun: true });
  expect(await stateOf(network)).toEqual(before);
  expect(dry).toMatchObject({ created: BATCH_MAX_RECORDS + 1, updated: 3, unchanged: 2, rejectedCount: 2 });
  expect(dry.columns.customFields).toEqual(['n']);
  expect(await importReport(database, network, 'jsonl', lines)).toEqual(dry);
  expect(
    await importReport(database, network, 'jsonl', jsonLines(...many.slice(10)), { isDryRun: true }),
  ).toMatchObject({
    unchanged: BATCH_MAX_RECORDS - 10,
  });
});

test('nobody who writes waits for it', async () => {
  const network = await newNetwork();
  await importText(database, network, 'jsonl', jsonLines({ email: 'a@x.org', name: 'A' }));
  async function* source(): AsyncGenerator<Buffer> {
    yield Buffer.from(jsonLines({ email: 'a@x.org', name: 'Changed' }).repeat(BATCH_MAX_RECORDS));
    // The first batch has been planned by now; another import of the same member ends before the second one comes.
    await importText(database, network, 'jsonl', jsonLines({ email: 'a@x.org', name: 'B' }));
    yield Buffer.from(jsonLines({ email: 'b@x.org', name: 'B' }));
  }
  const outcome = await importMembers(database, COMMAND_LINE, network, {
    source: source(),
    format: 'jsonl',
    isDryRun: true,
  });
  expect(outcome).toMatchObject({ ok: true, report: { created: 1, updated: 1, unchanged: BATCH_MAX_RECORDS - 1 } });
  expect((await membersOf(database, network)).map(({ name }) => name)).toEqual(['B']);
});

test('it gives its connection back, whatever happens', async () => {
  const network = await newNetwork();
  for (let time = 0; time < 10; time += 1) {
    await expect(importText(database, network, 'csv', 'x\n', { isDryRun: true })).rejects.toThrow('the header lacks');
  }
  expect(database.pool.totalCount - database.pool.idleCount).toBe(0);
});

test('a network that is gone is refused', async () => {
  const source = inChunks(jsonLines({ email: 'a@x.org', name: 'A' }));
  const outcome = await importMembers(database, COMMAND_LINE, newUuid(), { source, format: 'jsonl', isDryRun: true });
  expect(outcome).toMatchObject({ ok: false, errors: [{ code: 'NOT_FOUND' }] });
});

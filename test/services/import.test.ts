import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { newUuid } from '../../src/domain/id.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { BATCH_MAX_RECORDS, importMembers, REJECTED_KEPT_MAX } from '../../src/services/members/import.ts';
import { makeMembers, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { withClient } from '../support/postgres.ts';
import { HARD_CSV, HARD_JSONL, HARD_MEMBERS } from './hard-cases.ts';
import { importText, inChunks, jsonLines, membersOf } from './members.ts';

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function newNetwork(): Promise<string> {
  return (await makeNetwork(database)).network.id;
}

const ADA = { email: 'ada@x.org', name: 'Ada' };
const BOB = { email: 'bob@x.org', name: 'Bob' };
const NOTHING = { created: 0, updated: 0, unchanged: 0, rejectedCount: 0, rejected: [] };

describe('input as it exists in the world', () => {
  test.each([
    ['csv', HARD_CSV],
    ['jsonl', HARD_JSONL],
  ] as const)('hard cases in %s: all come in exactly, and a second time nothing changes', async (format, content) => {
    const network = await newNetwork();
    const count = HARD_MEMBERS.length;
    expect(await importText(database, network, format, content)).toEqual({ ...NOTHING, created: count });
    const members = await membersOf(database, network);
    expect(members.map(({ name, email, tags, customFields }) => ({ name, email, tags, customFields }))).toEqual(
      HARD_MEMBERS,
    );
    expect(await importText(database, network, format, content)).toEqual({ ...NOTHING, unchanged: count });
    expect(await membersOf(database, network)).toEqual(members);
  });

  test('what one format brought in is unchanged by the other', async () => {
    const network = await newNetwork();
    await importText(database, network, 'csv', HARD_CSV);
    expect(await importText(database, network, 'jsonl', HARD_JSONL)).toEqual({
      ...NOTHING,
      unchanged: HARD_MEMBERS.length,
    });
  });

  test('bad lines are rejected with number and reason between good ones', async () => {
    const network = await newNetwork();
    const csv =
      'email,name,role,createdAt\na@x,Ada,,\nnone,Bob,king,\n"c@x","C",,1\n,,,2024-01-01\nd@x,D,admin,2024-01-01\n';
    expect(await importText(database, network, 'csv', csv)).toEqual({
      ...NOTHING,
      created: 2,
      rejectedCount: 3,
      rejected: [
        { line: 3, reason: 'email: must be an e-mail address; role: must be one of OWNER, ADMIN, MODERATOR, MEMBER' },
        { line: 4, reason: 'createdAt: must be a time in ISO 8601, such as 2026-01-31 or 2026-01-31T08:30:00Z' },
        { line: 5, reason: 'email: is required; name: is required' },
      ],
    });
  });

  test('a new member gets the defaults, and the moment of the import', async () => {
    const network = await newNetwork();
    const before = Date.now();
    await importText(database, network, 'jsonl', jsonLines(ADA));
    const [member] = await membersOf(database, network);
    expect(member).toMatchObject({ role: 'MEMBER', status: 'ACTIVE', tags: [], customFields: {}, externalId: null });
    expect(Math.abs((member?.createdAt.getTime() ?? 0) - before)).toBeLessThan(60_000);
  });
});

describe('idempotent by externalId, else by e-mail address without regard to case', () => {
  test('a member is found by externalId when everything else has changed', async () => {
    const network = await newNetwork();
    await importText(database, network, 'jsonl', jsonLines({ ...ADA, externalId: '1' }));
    const renamed = { email: 'countess@x.org', name: 'Ada King', externalId: '1', role: 'owner', status: 'suspended' };
    expect(await importText(database, network, 'jsonl', jsonLines(renamed))).toEqual({ ...NOTHING, updated: 1 });
    const members = await membersOf(database, network);
    expect(members).toMatchObject([{ ...renamed, role: 'OWNER', status: 'SUSPENDED', nameFolded: 'ada king' }]);
  });

  test('a member without externalId is found by address in any case, and takes an externalId on', async () => {
    const network = await newNetwork();
    await importText(database, network, 'jsonl', jsonLines(ADA));
    const again = { ...ADA, email: 'ADA@X.ORG', externalId: '1' };
    expect(await importText(database, network, 'jsonl', jsonLines(again))).toEqual({ ...NOTHING, updated: 1 });
    expect(await membersOf(database, network)).toMatchObject([again]);
  });

  test('a conflict of the two is a rejected line, and changes neither member', async () => {
    const network = await newNetwork();
    await importText(database, network, 'jsonl', jsonLines({ ...ADA, externalId: '1' }, { ...BOB, externalId: '2' }));
    const before = await membersOf(database, network);
    const report = await importText(
      database,
      network,
      'jsonl',
      jsonLines({ ...BOB, externalId: '1' }, { ...ADA, externalId: '3' }, { ...ADA, externalId: '1' }),
    );
    expect(report).toEqual({
      ...NOTHING,
      unchanged: 1,
      rejectedCount: 2,
      rejected: [
        { line: 1, reason: 'externalId and email: belong to two different members' },
        { line: 2, reason: 'email: belongs to a member with another externalId' },
      ],
    });
    expect(await membersOf(database, network)).toEqual(before);
  });

  test('unchanged leaves updatedAt alone, updated moves it', async () => {
    const network = await newNetwork();
    const full = {
      ...ADA,
      externalId: '1',
      role: 'ADMIN',
      status: 'INVITED',
      avatarUrl: 'https://x.org/a.png',
      location: 'London\nUK',
      tags: ['b', 'a'],
      createdAt: '2024-02-29T12:34:56.789Z',
      lastActiveAt: '2026-02-28T23:59:59.001Z',
      height: 1.75,
      small: 1e-7,
      nested: { z: [1, null, { y: 'x' }], a: true },
    };
    await importText(database, network, 'jsonl', jsonLines(full));
    const before = await membersOf(database, network);
    expect(await importText(database, network, 'jsonl', jsonLines(full))).toEqual({ ...NOTHING, unchanged: 1 });
    expect(await importText(database, network, 'jsonl', jsonLines(ADA))).toEqual({ ...NOTHING, unchanged: 1 });
    expect(await membersOf(database, network)).toEqual(before);
    expect(await importText(database, network, 'jsonl', jsonLines({ ...full, tags: ['a', 'b'] }))).toMatchObject({
      updated: 1,
    });
    const [after] = await membersOf(database, network);
    expect(after).toEqual({ ...before[0], tags: ['a', 'b'], updatedAt: after?.updatedAt });
    expect(after?.updatedAt.getTime()).toBeGreaterThan(before[0]?.updatedAt.getTime() ?? 0);
  });

  test('null in JSON Lines erases what a member can lack; an empty cell of CSV erases nothing', async () => {
    const network = await newNetwork();
    const full = {
      ...ADA,
      externalId: '1',
      avatarUrl: 'https://x.org/a',
      location: 'L',
      lastActiveAt: '2026-01-01',
      tags: ['a'],
      team: 'red',
      role: 'ADMIN',
    };
    await importText(database, network, 'jsonl', jsonLines(full));
    const csv = 'email,name,externalId,avatarUrl,location,lastActiveAt,tags,team,role\nada@x.org,Ada,,,,,,,\n';
    expect(await importText(database, network, 'csv', csv)).toEqual({ ...NOTHING, unchanged: 1 });
    const gone = { externalId: null, avatarUrl: null, location: null, lastActiveAt: null };
    const none = { ...ADA, ...gone, tags: null, team: null, role: null };
    expect(await importText(database, network, 'jsonl', jsonLines(none))).toEqual({ ...NOTHING, updated: 1 });
    expect(await membersOf(database, network)).toMatchObject([{ ...gone, tags: [], customFields: {}, role: 'ADMIN' }]);
  });

  test('custom fields that a line leaves out stay; together they keep their bounds', async () => {
    const network = await newNetwork();
    await importText(database, network, 'jsonl', jsonLines({ ...ADA, a: 1, b: 'x'.repeat(9_000) }));
    await importText(database, network, 'jsonl', jsonLines({ ...ADA, c: [3] }));
    const report = await importText(database, network, 'jsonl', jsonLines({ ...ADA, d: 'x'.repeat(9_000) }));
    expect(report.rejected).toEqual([
      { line: 1, reason: 'customFields: must have at most 16384 bytes as JSON, all together' },
    ]);
    const [member] = await membersOf(database, network);
    expect(member?.customFields).toEqual({ a: 1, b: 'x'.repeat(9_000), c: [3] });
  });
});

describe('lines of one file are as if written one after the other', () => {
  test('the same member twice: created, then updated or unchanged', async () => {
    const network = await newNetwork();
    const lines = jsonLines(
      ADA,
      { ...ADA, email: 'ADA@x.org' },
      { ...ADA, email: 'ADA@x.org', team: 'red' },
      { ...BOB, externalId: '7' },
      { email: 'rob@x.org', name: 'Rob', externalId: '7' },
      BOB,
    );
    expect(await importText(database, network, 'jsonl', lines)).toEqual({ ...NOTHING, created: 3, updated: 3 });
    expect(await membersOf(database, network)).toMatchObject([
      { email: 'ADA@x.org', customFields: { team: 'red' } },
      { email: 'rob@x.org', externalId: '7' },
      { email: 'bob@x.org', externalId: null },
    ]);
  });

  test('members that take over what others give up, in any order, down to a swap over three lines', async () => {
    const network = await newNetwork();
    const person = (externalId: string, email: string): object => ({
      name: externalId,
      externalId,
      email: `${email}@x.org`,
    });
    await importText(database, network, 'jsonl', jsonLines(person('1', 'a'), person('2', 'b'), person('3', 'c')));
    const before = await membersOf(database, network);
    // 1 goes out of the way, 2 and 3 move up, 1 takes the last place.
    const lines = jsonLines(
      person('1', 'away'),
      person('2', 'a'),
      person('3', 'b'),
      person('1', 'c'),
      person('4', 'away'),
    );
    expect(await importText(database, network, 'jsonl', lines)).toEqual({ ...NOTHING, updated: 4, created: 1 });
    const after = await membersOf(database, network);
    expect(after).toMatchObject([
      { id: before[0]?.id, externalId: '1', email: 'c@x.org', emailFolded: 'c@x.org' },
      { id: before[1]?.id, externalId: '2', email: 'a@x.org', emailFolded: 'a@x.org' },
      { id: before[2]?.id, externalId: '3', email: 'b@x.org', emailFolded: 'b@x.org' },
      { externalId: '4', email: 'away@x.org' },
    ]);
  });

  test('an externalId that one gives up and another takes', async () => {
    const network = await newNetwork();
    await importText(database, network, 'jsonl', jsonLines({ ...ADA, externalId: '1' }, BOB));
    const lines = jsonLines({ ...ADA, externalId: null }, { ...BOB, externalId: '1' });
    expect(await importText(database, network, 'jsonl', lines)).toEqual({ ...NOTHING, updated: 2 });
    expect(await membersOf(database, network)).toMatchObject([{ externalId: null }, { externalId: '1' }]);
  });
});

describe('batches', () => {
  test('each commits with one audit event of its counts; one that changes nothing leaves none', async () => {
    const network = await newNetwork();
    const people = Array.from({ length: BATCH_MAX_RECORDS + 1 }, (_, index) => ({
      name: 'N',
      email: `${index}@x.org`,
    }));
    const lines = `oops\n${jsonLines(...people)}`;
    const reports: number[] = [];
    const source = inChunks(lines);
    const onCommit = (report: { created: number }): number => reports.push(report.created);
    await importMembers(database, COMMAND_LINE, network, { source, format: 'jsonl', onCommit });
    expect(reports).toEqual([BATCH_MAX_RECORDS - 1, BATCH_MAX_RECORDS + 1]);
    await importText(database, network, 'jsonl', lines);
    const where = { networkId: network, action: 'members.imported' };
    const events = await database.prisma.auditEvent.findMany({ where, orderBy: { id: 'asc' } });
    expect(
      events.map(({ details, actorKind, subjectType, subjectId }) => [details, actorKind, subjectType, subjectId]),
    ).toEqual([
      [{ created: 999, updated: 0, unchanged: 0, rejected: 1, changedFields: [] }, 'COMMAND_LINE', 'Member', null],
      [{ created: 2, updated: 0, unchanged: 0, rejected: 0, changedFields: [] }, 'COMMAND_LINE', 'Member', null],
    ]);
  });

  test('of rejected lines the first are named and all are counted', async () => {
    const network = await newNetwork();
    const report = await importText(database, network, 'jsonl', 'x\n'.repeat(REJECTED_KEPT_MAX + 5));
    expect(report).toMatchObject({ rejectedCount: REJECTED_KEPT_MAX + 5, rejected: { length: REJECTED_KEPT_MAX } });
  });

  test('what was committed before the source failed is there, and was reported', async () => {
    const network = await newNetwork();
    async function* failing(): AsyncGenerator<Buffer> {
      yield Buffer.from(
        jsonLines(...Array.from({ length: 1_500 }, (_, index) => ({ name: 'N', email: `${index}@x.org` }))),
      );
      throw new Error('the disk is gone');
    }
    let created = 0;
    const onCommit = (report: { created: number }): void => {
      created = report.created;
    };
    const importing = importMembers(database, COMMAND_LINE, network, { source: failing(), format: 'jsonl', onCommit });
    await expect(importing).rejects.toThrow('the disk is gone');
    expect(created).toBe(1_000);
    expect(await membersOf(database, network)).toHaveLength(1_000);
  });

  test('no other network is touched, though it has the same people', async () => {
    const [network, other] = [await newNetwork(), await newNetwork()];
    await importText(database, other, 'jsonl', jsonLines({ ...ADA, externalId: '1' }));
    const before = await membersOf(database, other);
    const report = await importText(
      database,
      network,
      'jsonl',
      jsonLines({ ...ADA, name: 'Another Ada', externalId: '1' }),
    );
    expect(report).toEqual({ ...NOTHING, created: 1 });
    expect(await membersOf(database, other)).toEqual(before);
  });

  test('a network that is gone', async () => {
    const outcome = await importMembers(database, COMMAND_LINE, newUuid(), {
      source: inChunks(jsonLines(ADA)),
      format: 'jsonl',
    });
    expect(outcome).toMatchObject({ ok: false, errors: [{ code: 'NOT_FOUND' }] });
  });

  test('a file that cannot be read at all is refused before any line is written', async () => {
    const network = await newNetwork();
    const outcome = await importMembers(database, COMMAND_LINE, network, {
      source: inChunks('name\nAda\n'),
      format: 'csv',
    });
    expect(outcome).toMatchObject({ ok: false, errors: [{ code: 'INVALID', field: ['file'] }] });
    expect(await membersOf(database, network)).toEqual([]);
  });
});

describe('at the same time', () => {
  const people = Array.from({ length: 3_000 }, (_, index) => ({
    name: `N${index}`,
    email: `${index}@x.org`,
    externalId: `e${index}`,
  }));

  test('imports of one file neither fail nor duplicate, and together count each member once as created', async () => {
    const network = await newNetwork();
    const backwards = people.toReversed();
    const reports = await Promise.all([
      importText(database, network, 'jsonl', jsonLines(...people)),
      importText(database, network, 'jsonl', jsonLines(...backwards)),
      importText(database, network, 'jsonl', jsonLines(...people)),
    ]);
    expect(await membersOf(database, network)).toHaveLength(people.length);
    expect(reports.reduce((sum, report) => sum + report.created, 0)).toBe(people.length);
    expect(reports.reduce((sum, report) => sum + report.unchanged, 0)).toBe(2 * people.length);
  });

  test('a member that somebody else made after the import had looked is found on the next try', async () => {
    const network = await newNetwork();
    const lines = jsonLines({ ...ADA, team: 'red' }, BOB);
    const report = await withClient(inject('databaseUrl'), async (other) => {
      await other.query('BEGIN');
      await other.query(
        `INSERT INTO members (id, network_id, name, name_folded, email, email_folded)
         VALUES ($1, $2, 'Other', 'other', 'ADA@x.org', 'ada@x.org')`,
        [newUuid(), network],
      );
      const importing = importText(database, network, 'jsonl', lines);
      // It does not see the uncommitted row, and waits for it when it stores its own.
      while ((await waitersFor(other)).length === 0) await pause(10);
      await other.query('COMMIT');
      return importing;
    });
    expect(report).toEqual({ ...NOTHING, created: 1, updated: 1 });
    expect(await membersOf(database, network)).toMatchObject([{ ...ADA, customFields: { team: 'red' } }, BOB]);
  });

  test('members that somebody holds longer than a statement may wait stop no import', async () => {
    const network = await newNetwork();
    const impatient = await openTestDatabase({ statementTimeoutMs: 300 });
    try {
      await importText(database, network, 'jsonl', jsonLines(ADA, BOB));
      const report = await withClient(inject('databaseUrl'), async (other) => {
        await other.query('BEGIN');
        await other.query('SELECT 1 FROM members WHERE network_id = $1 FOR UPDATE', [network]);
        const lines = jsonLines({ ...ADA, team: 'red' }, { ...BOB, team: 'red' }, { email: 'c@x.org', name: 'C' });
        const importing = importText(impatient, network, 'jsonl', lines);
        const waiters = new Set<string>();
        // The second waits because the first one's time was up.
        while (waiters.size < 2) {
          for (const waiter of await waitersFor(other)) waiters.add(waiter);
          await pause(10);
        }
        await other.query('COMMIT');
        return importing;
      });
      expect(report).toEqual({ ...NOTHING, created: 1, updated: 2 });
    } finally {
      await impatient.close();
    }
  });

  test('a stream of writes of the same members holds no import up', async () => {
    const network = await newNetwork();
    const isDone = { yet: false };
    const others = (async () => {
      for (let index = 299; index >= 0 && !isDone.yet; index -= 1) {
        await makeMembers(database, network, 1, () => ({ name: 'Other', email: `${index}@x.org` })).catch(
          (error: unknown) => {
            // The import was first: the unique index says so.
            if (!(error instanceof Error && 'code' in error && error.code === 'P2002')) throw error;
          },
        );
      }
    })();
    try {
      const report = await importText(database, network, 'jsonl', jsonLines(...people.slice(0, 300)));
      expect(report.created + report.updated).toBe(300);
    } finally {
      isDone.yet = true;
      await others;
    }
    expect(await membersOf(database, network)).toHaveLength(300);
  });
});

/** Other sessions' statements that wait for this one's locks, by when they began. */
async function waitersFor(client: pg.Client): Promise<string[]> {
  const self = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  // Asked by another session: inside a transaction, pg_stat_activity does not change.
  const { rows } = await database.pool.query<{ waiter: string }>(
    "SELECT pid || ' since ' || query_start AS waiter FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))",
    [self.rows[0]?.pid],
  );
  return rows.map(({ waiter }) => waiter);
}

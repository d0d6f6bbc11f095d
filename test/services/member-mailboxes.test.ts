/** One mailbox is one member, however its domain is spelled, whichever way it comes; and what of the release before stays. */
import { domainToASCII, domainToUnicode } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { newUuid } from '../../src/domain/id.ts';
import { fold } from '../../src/domain/text.ts';
import { COMMAND_LINE } from '../../src/services/actor.ts';
import { FILL_BATCH_ROWS, fillIdentities } from '../../src/services/members/fill-identities.ts';
import { type MailboxConflict, mailboxConflicts } from '../../src/services/members/mailbox-conflicts.ts';
import { IMPORT_LOCK } from '../../src/services/members/store-batch.ts';
import { updateMember } from '../../src/services/members/update.ts';
import { type UpsertedMember, upsertMembers } from '../../src/services/members/upsert.ts';
import { makeNetwork } from '../support/fixtures.ts';
import { startTestGateway, TEST_SECRET } from '../support/gateway.ts';
import { hold } from '../support/lock.ts';
import { startProgram } from '../support/program.ts';
import { scratchUrl } from '../support/scratch.ts';
import { importText, jsonLines, membersOf } from './members.ts';

const UNICODE = 'ada@bücher.example';
const ASCII = 'ada@xn--bcher-kva.example';
const SPELLINGS = [UNICODE, ASCII, 'Ada@XN--BCHER-KVA.Example', 'ada@bücher\u3002example', 'ada@bü\u00adcher.example'];
const NEVER = new AbortController().signal;

// Of its own: the job works on all networks, and no other test is to find its rows done.
let url = '';
let database: Database;
beforeAll(async () => {
  url = await scratchUrl({ migrated: true });
  database = await openDatabase({ url, dataDir: '', poolSize: 6, statementTimeoutMs: 30_000 });
});
afterAll(() => database.close());

const network = async () => (await makeNetwork(database)).network.id;

async function upsert(
  networkId: string,
  ...members: readonly Record<string, string>[]
): Promise<readonly UpsertedMember[]> {
  const typed = members.map((fields) => ({ fields: new Map(Object.entries(fields)), customFields: null }));
  const outcome = await upsertMembers(database, COMMAND_LINE, networkId, typed);
  if (!outcome.ok) throw new Error(outcome.errors[0].message);
  return outcome.results;
}

/** As gateways of the release before do it: without the columns of the mailbox. */
async function storeAsBefore(networkId: string, ...emails: readonly string[]): Promise<string[]> {
  const ids = emails.map(() => newUuid()).sort();
  await database.pool.query(
    `INSERT INTO members (id, network_id, name, name_folded, email, email_folded)
     SELECT id, $1, 'N', 'n', email, folded FROM unnest($2::uuid[], $3::text[], $4::text[]) AS given (id, email, folded)`,
    [networkId, ids, emails, emails.map(fold)],
  );
  return ids;
}

async function mailboxesOf(networkId: string): Promise<Record<string, string | null>> {
  const { rows } = await database.pool.query<{ email: string; identity: string | null }>(
    `SELECT email, CASE WHEN email_identity_of = email_folded THEN email_identity END AS identity
     FROM members WHERE network_id = $1`,
    [networkId],
  );
  return Object.fromEntries(rows.map(({ email, identity }) => [email, identity]));
}

async function filledOf(networkId: string): Promise<number> {
  const { rows } = await database.pool.query<{ filled: number }>(
    'SELECT count(*)::int AS filled FROM members WHERE network_id = $1 AND email_identity_of = email_folded',
    [networkId],
  );
  return rows[0]?.filled ?? 0;
}

async function conflictsOf(networkId: string): Promise<MailboxConflict[]> {
  const found: MailboxConflict[] = [];
  for await (const page of mailboxConflicts(database, networkId)) found.push(...page);
  return found;
}

describe('two spellings of a mailbox are one member', () => {
  test('in one upsert: the later ones change the first', async () => {
    const id = await network();
    const results = await upsert(id, ...SPELLINGS.map((email) => ({ email, name: 'Ada' })));
    expect(results.map(({ kind }) => kind)).toEqual(['created', 'updated', 'updated', 'updated', 'unchanged']);
    expect((await membersOf(database, id)).map(({ email }) => email)).toEqual([UNICODE]);
  });

  test('in two imports, of either format', async () => {
    const id = await network();
    await importText(database, id, 'csv', `email,name\n${UNICODE},Ada\n`);
    const report = await importText(database, id, 'jsonl', jsonLines({ email: ASCII, name: 'Ada' }));
    expect(report).toMatchObject({ created: 0, updated: 1 });
    expect(await importText(database, id, 'csv', `email,name\n${ASCII},Ada\n`)).toMatchObject({ unchanged: 1 });
    expect(await membersOf(database, id)).toHaveLength(1);
  });

  test('when both are written at the same time', async () => {
    const id = await network();
    const results = await Promise.all(SPELLINGS.map((email) => upsert(id, { email, name: 'Ada' })));
    expect(results.flat().filter(({ kind }) => kind === 'created')).toHaveLength(1);
    expect(await membersOf(database, id)).toHaveLength(1);
  });

  test('when a writer who takes no turn stores the other one meanwhile: the unique index decides', async () => {
    const id = await network();
    const lock = await hold(
      database.pool,
      `INSERT INTO members (id, network_id, name, name_folded, email, email_folded, email_identity, email_identity_of)
       VALUES (gen_random_uuid(), $1, 'First', 'first', $2, $2, $3, $2)`,
      [id, UNICODE, ASCII],
    );
    const second = upsert(id, { email: ASCII, name: 'Second' });
    await lock.untilAwaited();
    await lock.release();
    expect(await second).toMatchObject([{ kind: 'updated' }]);
    expect(await membersOf(database, id)).toMatchObject([{ email: ASCII, name: 'Second' }]);
    await expect(
      database.pool.query(
        `INSERT INTO members (id, network_id, name, name_folded, email, email_folded, email_identity, email_identity_of)
         VALUES (gen_random_uuid(), $1, 'Third', 'third', $2, $2, $3, $2)`,
        [id, UNICODE, ASCII],
      ),
    ).rejects.toMatchObject({ code: '23505', constraint: 'members_email_identity_key' });
  });

  test('in an update, which is refused as for any address that is taken', async () => {
    const id = await network();
    await upsert(id, { email: UNICODE, name: 'Ada' }, { email: 'bob@x.example', name: 'Bob' });
    const [, bob] = await membersOf(database, id);
    for (const email of SPELLINGS) {
      const fields = new Map([['email', email]]);
      const outcome = await updateMember(database, COMMAND_LINE, id, String(bob?.id), { fields, customFields: null });
      expect(outcome).toMatchObject({ ok: false, errors: [{ code: 'EMAIL_TAKEN', field: ['input', 'email'] }] });
    }
  });

  test('also where its own member changes to another spelling', async () => {
    const id = await network();
    await upsert(id, { email: UNICODE, name: 'Ada', externalId: '1' });
    const [ada] = await membersOf(database, id);
    for (const email of [ASCII, UNICODE, 'ADA@bücher.example']) {
      const fields = new Map([['email', email]]);
      const outcome = await updateMember(database, COMMAND_LINE, id, String(ada?.id), { fields, customFields: null });
      expect(outcome.ok).toBe(true);
      expect(await mailboxesOf(id)).toEqual({ [email]: ASCII });
    }
  });

  test('when an externalId and an address name two members, the record is rejected', async () => {
    const id = await network();
    await upsert(id, { email: UNICODE, name: 'Ada' }, { email: 'bob@x.example', name: 'Bob', externalId: '2' });
    expect(await upsert(id, { email: ASCII, externalId: '2' })).toMatchObject([{ kind: 'rejected' }]);
  });

  test('when two members exchange their mailboxes under other spellings', async () => {
    const id = await network();
    await upsert(
      id,
      { email: UNICODE, name: 'A', externalId: '1' },
      { email: 'x@straße.example', name: 'B', externalId: '2' },
    );
    const moved = await upsert(
      id,
      { email: 'y@x.example', externalId: '1' },
      { email: ASCII, externalId: '2' },
      { email: 'x@xn--strae-oqa.example', externalId: '1' },
    );
    expect(moved.map(({ kind }) => kind)).toEqual(['updated', 'updated', 'updated']);
    expect(await mailboxesOf(id)).toEqual({ 'x@xn--strae-oqa.example': 'x@xn--strae-oqa.example', [ASCII]: ASCII });
  });

  test('whatever the domain is', async () => {
    const label = fc.string({ unit: fc.constantFrom(...'abzäöüßéłжя中文例えपनמא❤'), minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(label, fc.constantFrom('.', '\u3002', '\uff61'), async (first, stop) => {
        const ascii = domainToASCII(`${first}.example`);
        fc.pre(ascii !== '');
        const domains = [`${first}${stop}example`, ascii, ascii.toUpperCase(), domainToUnicode(ascii).normalize('NFD')];
        const id = await network();
        await upsert(id, { email: `ada@${domains[0]}`, name: 'Ada' });
        await importText(
          database,
          id,
          'jsonl',
          jsonLines(...domains.map((each) => ({ email: `ada@${each}`, name: 'Ada' }))),
        );
        await upsert(id, ...domains.map((each) => ({ email: `ADA@${each}`, name: 'Ada' })));
        expect(await membersOf(database, id)).toHaveLength(1);
      }),
      { numRuns: 15 },
    );
  });
});

test('plain ASCII is stored as before: no mailbox beside the folded address', async () => {
  const id = await network();
  await upsert(id, { email: 'Ada.Lovelace+x@Example.ORG', name: 'Ada' });
  const { rows } = await database.pool.query(
    'SELECT email, email_folded, email_identity, email_identity_of FROM members WHERE network_id = $1',
    [id],
  );
  expect(rows).toEqual([
    {
      email: 'Ada.Lovelace+x@Example.ORG',
      email_folded: 'ada.lovelace+x@example.org',
      email_identity: null,
      email_identity_of: null,
    },
  ]);
});

describe('a member that the release before has stored', () => {
  test('is found by each usual spelling before its mailbox is worked out, and by any after that', async () => {
    for (const stored of [UNICODE, ASCII]) {
      const id = await network();
      const [member] = await storeAsBefore(id, stored);
      for (const email of [ASCII, UNICODE, stored]) {
        expect(await upsert(id, { email, name: 'N' })).toMatchObject([{ id: member }]);
      }
    }
    const id = await network();
    const [member] = await storeAsBefore(id, 'ada@bücher\u3002example');
    await fillIdentities(database, NEVER, id);
    expect(await upsert(id, { email: ASCII, name: 'N' })).toMatchObject([{ id: member, kind: 'updated' }]);
  });

  test('is filled in without a change: its time, the feed and the trail stay', async () => {
    const id = await network();
    await storeAsBefore(id, UNICODE, 'ünal@x.example', 'plain@x.example', 'x@xn--a.example');
    const state = async () =>
      (
        await database.pool.query(
          `SELECT m.email, m.updated_at, m.changed_position, m.created_position, feed.position, kept.members,
                  (SELECT count(*) FROM audit_events WHERE network_id = $1) AS events
           FROM members m JOIN member_feeds feed USING (network_id) JOIN member_counts kept USING (network_id)
           WHERE network_id = $1 ORDER BY m.id`,
          [id],
        )
      ).rows;
    const before = await state();
    expect(await fillIdentities(database, NEVER, id)).toEqual({ filled: 3, conflicts: 0, postponed: 0 });
    expect(await state()).toEqual(before);
    expect(await mailboxesOf(id)).toEqual({
      [UNICODE]: ASCII,
      'ünal@x.example': 'ünal@x.example',
      'plain@x.example': null,
      // Punycode of nothing: it is found by itself, and no longer pending.
      'x@xn--a.example': 'x@xn--a.example',
    });
    expect(await fillIdentities(database, NEVER, id)).toEqual({ filled: 0, conflicts: 0, postponed: 0 });
  });

  test('is filled in with a change of another field in between: that one is told by the feed', async () => {
    const id = await network();
    const [member] = await storeAsBefore(id, UNICODE);
    await database.pool.query(
      `UPDATE members SET email_identity = 'x', email_identity_of = email_folded, name = 'M' WHERE id = $1`,
      [member],
    );
    const { rows } = await database.pool.query(
      'SELECT changed_position > created_position AS told FROM members WHERE id = $1',
      [member],
    );
    expect(rows).toEqual([{ told: true }]);
  });

  test('has a new mailbox worked out when the release before changes its address', async () => {
    const id = await network();
    await upsert(id, { email: UNICODE, name: 'Ada' });
    await database.pool.query(
      `UPDATE members SET email = 'ada@straße.example', email_folded = 'ada@straße.example' WHERE network_id = $1`,
      [id],
    );
    expect(await mailboxesOf(id)).toEqual({ 'ada@straße.example': null });
    expect(await upsert(id, { email: UNICODE, name: 'Another' })).toMatchObject([{ kind: 'created' }]);
    await fillIdentities(database, NEVER, id);
    expect(await mailboxesOf(id)).toEqual({ 'ada@straße.example': 'ada@xn--strae-oqa.example', [UNICODE]: ASCII });
  });
});

describe('members of the release before that have one mailbox', () => {
  test('are never merged: each keeps its address, is found and written by it, and they are listed', async () => {
    const id = await network();
    const [first, second, third] = await storeAsBefore(id, UNICODE, ASCII, 'ada@bücher\u3002example');
    expect(await fillIdentities(database, NEVER, id)).toEqual({ filled: 1, conflicts: 2, postponed: 0 });
    expect(await fillIdentities(database, NEVER, id)).toEqual({ filled: 0, conflicts: 2, postponed: 0 });
    expect((await conflictsOf(id)).map(({ mailbox, member, holder }) => [mailbox, member.id, holder.id])).toEqual([
      [ASCII, second, first],
      [ASCII, third, first],
    ]);
    expect(await upsert(id, { email: UNICODE, name: 'One' }, { email: ASCII, name: 'Two' })).toMatchObject([
      { id: first, kind: 'updated' },
      { id: second, kind: 'updated' },
    ]);
    // Whoever is sent with all of its fields, as integrations do, keeps its address, too.
    const fields = new Map([
      ['email', UNICODE],
      ['name', 'Three'],
    ]);
    expect(await updateMember(database, COMMAND_LINE, id, String(first), { fields, customFields: null })).toEqual({
      ok: true,
      id: first,
    });
    expect((await membersOf(database, id)).map(({ email, name }) => [email, name])).toEqual([
      [UNICODE, 'Three'],
      [ASCII, 'Two'],
      ['ada@bücher\u3002example', 'N'],
    ]);
  });

  test('are none any more once the operator has deleted one or changed its address', async () => {
    const id = await network();
    const [first, second] = await storeAsBefore(id, UNICODE, ASCII);
    expect(await conflictsOf(id)).toHaveLength(1);
    await database.pool.query('DELETE FROM members WHERE id = $1', [first]);
    expect(await conflictsOf(id)).toEqual([]);
    expect(await mailboxesOf(id)).toEqual({ [ASCII]: ASCII });
    const [other] = await storeAsBefore(id, 'ada@bücher\uff61example');
    expect(await conflictsOf(id)).toMatchObject([{ member: { id: other }, holder: { id: second } }]);
    const fields = new Map([['email', 'bob@bücher.example']]);
    await updateMember(database, COMMAND_LINE, id, String(other), { fields, customFields: null });
    expect(await conflictsOf(id)).toEqual([]);
  });

  test('are listed, too, where the release before has stored the second one beside a mailbox that is known', async () => {
    const id = await network();
    const [held] = await upsert(id, { email: UNICODE, name: 'Ada' });
    const [stored] = await storeAsBefore(id, ASCII);
    expect(await upsert(id, { email: ASCII, name: 'Two' }, { email: UNICODE, name: 'One' })).toMatchObject([
      { id: stored, kind: 'updated' },
      { id: held !== undefined && 'id' in held ? held.id : '', kind: 'updated' },
    ]);
    expect(await conflictsOf(id)).toMatchObject([
      { mailbox: ASCII, member: { id: stored }, holder: { email: UNICODE } },
    ]);
  });

  test('of another network are none', async () => {
    const [one, other] = [await network(), await network()];
    await storeAsBefore(one, UNICODE);
    await storeAsBefore(other, ASCII);
    expect(await conflictsOf(one)).toEqual([]);
    expect(await conflictsOf(other)).toEqual([]);
  });
});

describe('filling in', () => {
  const many = (count: number) => Array.from({ length: count }, (_, n) => `m${n}@bücher${n}.example`);

  test('goes on where it was stopped, in batches of a bounded size', async () => {
    const id = await network();
    await storeAsBefore(id, ...many(2 * FILL_BATCH_ROWS + 1));
    const stop = new AbortController();
    const lock = await hold(
      database.pool,
      'SELECT id FROM members WHERE network_id = $1 ORDER BY id LIMIT 1 FOR UPDATE',
      [id],
    );
    const stopped = fillIdentities(database, stop.signal, id);
    await lock.untilAwaited();
    stop.abort();
    await lock.release();
    expect(await stopped).toEqual({ filled: FILL_BATCH_ROWS, conflicts: 0, postponed: 0 });
    expect(await fillIdentities(database, NEVER, id)).toMatchObject({ filled: FILL_BATCH_ROWS + 1 });
  });

  test('leaves a batch as it was where its session is killed in it', async () => {
    const id = await network();
    await storeAsBefore(id, ...many(20));
    const lock = await hold(
      database.pool,
      'SELECT id FROM members WHERE network_id = $1 ORDER BY id DESC LIMIT 1 FOR UPDATE',
      [id],
    );
    const killed = fillIdentities(database, NEVER, id).catch((error: unknown) => error);
    await lock.untilAwaited();
    await database.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND cardinality(pg_blocking_pids(pid)) > 0`,
    );
    expect(await killed).toBeInstanceOf(Error);
    await lock.release();
    expect(new Set(Object.values(await mailboxesOf(id)))).toEqual(new Set([null]));
    expect(await fillIdentities(database, NEVER, id)).toMatchObject({ filled: 20 });
  });

  test('leaves whole batches where the process is killed, and goes on from there', async () => {
    const { id, slug } = (await makeNetwork(database)).network;
    const emails = many(20 * FILL_BATCH_ROWS);
    await storeAsBefore(id, ...emails);
    const args = ['src/cli/main.ts', 'member', 'conflicts', '--network', slug];
    const settings = { DATABASE_URL: url, GATEHOUSE_SECRETS: TEST_SECRET };
    const program = startProgram(process.execPath, args, settings);
    await expect.poll(() => filledOf(id), { timeout: 30_000, interval: 5 }).toBeGreaterThan(0);
    await program.kill('SIGKILL');
    // What had reached the database may still commit.
    const lock = await hold(database.pool, 'SELECT pg_advisory_xact_lock($1, hashtext($2))', [IMPORT_LOCK, id]);
    const done = await filledOf(id);
    await lock.release();
    expect(done).toBeLessThan(emails.length);
    expect(done % FILL_BATCH_ROWS).toBe(0);
    expect(await fillIdentities(database, NEVER, id)).toEqual({
      filled: emails.length - done,
      conflicts: 0,
      postponed: 0,
    });
  });

  test('by several gateways at once, with writers beside them, fills each member once', async () => {
    const id = await network();
    const emails = many(300);
    await storeAsBefore(id, ...emails);
    const [one, two] = await Promise.all([
      fillIdentities(database, NEVER, id),
      fillIdentities(database, NEVER, id),
      upsert(id, ...emails.slice(0, 50).map((email) => ({ email: email.toUpperCase(), name: 'Written' }))),
    ]);
    await fillIdentities(database, NEVER, id);
    expect(one.filled + two.filled).toBeLessThanOrEqual(300);
    expect(Object.values(await mailboxesOf(id)).filter((identity) => identity === null)).toEqual([]);
    expect(await membersOf(database, id)).toHaveLength(300);
  });

  test('is done by a gateway at its start, and told once with the number of conflicts, never an address', async () => {
    const id = await network();
    await storeAsBefore(id, UNICODE, ASCII);
    const gateway = await startTestGateway({ DATABASE_URL: url }, { fillMailboxesAfterMs: 0 });
    const told = () => gateway.log.filter((line) => 'filled' in line || 'conflicts' in line);
    await expect.poll(() => told().length).toBeGreaterThanOrEqual(2);
    await gateway.close();
    const { rows } = await database.pool.query<{ conflicts: number }>(
      `SELECT count(*)::int AS conflicts FROM members WHERE email_identity_of IS DISTINCT FROM email_folded
       AND (octet_length(email_folded) <> char_length(email_folded) OR email_folded LIKE '%xn--%')`,
    );
    expect(told()).toMatchObject([
      { level: 'info', filled: expect.any(Number) },
      { level: 'warn', conflicts: rows[0]?.conflicts },
    ]);
    expect(JSON.stringify(gateway.log)).not.toContain('.example');
  });
});

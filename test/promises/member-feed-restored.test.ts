/** The feed across a backup: a client goes on where it may, and is told to start over where it would miss something. */
import { describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { graphql } from '../support/client.ts';
import { dumpInto, missingTools } from '../support/dump.ts';
import { makeMembers, makeNetwork } from '../support/fixtures.ts';
import { startTestGateway } from '../support/gateway.ts';
import { scratchUrl } from '../support/scratch.ts';
import { beside, Client, expectOnce, fill, table } from './feed-client.ts';

const TIMEOUT_MS = 60_000;

const reason = await missingTools();
if (reason !== '') process.stdout.write(`\nThe feed across a dump and a restore is left out: ${reason}.\n`);

const CHANGES = `query($after: String) {
  memberChanges(after: $after) { changes { kind member { name } } position hasMore }
}`;

interface Place {
  readonly url: string;
  readonly database: Database;
  close(): Promise<void>;
}

async function open(databaseUrl: string): Promise<Place> {
  const database = await openDatabase({ url: databaseUrl, dataDir: '', poolSize: 3, statementTimeoutMs: 10_000 });
  const gateway = await startTestGateway({ DATABASE_URL: databaseUrl });
  return {
    url: gateway.url,
    database,
    async close() {
      await gateway.close();
      await database.close();
    },
  };
}

async function ask({ url }: Place, token: string, after?: string) {
  const { body } = await graphql(url, token, CHANGES, { variables: { after } });
  const [error] = body.errors ?? [];
  if (error !== undefined) return { code: error.extensions.code, names: [], position: '' };
  const { changes, position } = body.data.memberChanges;
  return {
    code: null,
    names: changes.map((each: { member: { name: string } | null }) => each.member?.name ?? null),
    position,
  };
}

describe.skipIf(reason !== '')('across a dump and a restore', { timeout: TIMEOUT_MS }, () => {
  test('the counter goes on; who had caught up before the backup goes on, who came after it starts over', async () => {
    const [firstUrl, secondUrl] = [await scratchUrl({ migrated: true }), await scratchUrl({ migrated: false })];
    const first = await open(firstUrl);
    const { network, token } = await makeNetwork(first.database);
    const members = await makeMembers(first.database, network.id, 3);
    const rename = ({ database }: Place, index: number, name: string) =>
      database.pool.query('UPDATE members SET name = $2 WHERE id = $1', [members[index]?.id, name]);

    const begun = (await ask(first, token)).position;
    await rename(first, 0, 'a');
    const caughtUp = (await ask(first, token, begun)).position;
    await rename(first, 1, 'b');
    await first.database.pool.query('DELETE FROM members WHERE id = $1', [members[2]?.id]);
    await dumpInto(firstUrl, secondUrl);
    const atBackup = (await ask(first, token, caughtUp)).position;
    await rename(first, 0, 'lost');
    const beyond = (await ask(first, token, atBackup)).position;
    await first.close();

    const second = await open(secondUrl);
    try {
      for (const phase of ['before anything is written', 'after']) {
        // What the lost change was is not in the database: nobody may go on from beyond it, nor who may have pulled it.
        expect([phase, (await ask(second, token, beyond)).code]).toEqual([phase, 'POSITION_EXPIRED']);
        expect([phase, (await ask(second, token, begun)).code]).toEqual([phase, 'POSITION_EXPIRED']);
        if (phase === 'after') continue;
        // A fresh client need not wait until something is written.
        expect(await ask(second, token, (await ask(second, token)).position)).toMatchObject({ code: null, names: [] });
        expect(await ask(second, token, caughtUp)).toMatchObject({ code: null, names: ['b', null] });
        expect(await ask(second, token, atBackup)).toMatchObject({ code: null, names: [] });
        await rename(second, 0, 'new');
        await rename(second, 1, 'new, too');
        await rename(second, 1, 'newest');
      }
      expect(await ask(second, token, caughtUp)).toMatchObject({ code: null, names: [null, 'new', 'newest'] });
      const onward = await ask(second, token, atBackup);
      expect(onward.names).toEqual(['new', 'newest']);
      await rename(second, 0, 'last');
      expect((await ask(second, token, onward.position)).names).toEqual(['last']);
    } finally {
      await second.close();
    }
  });

  test('a copy that was taken and followed until a backup under way equals the table that it is restored to', async () => {
    const [firstUrl, secondUrl] = [await scratchUrl({ migrated: true }), await scratchUrl({ migrated: false })];
    const first = await open(firstUrl);
    const { network, token } = await makeNetwork(first.database);
    await fill(first.database, network.id, 2_000);
    let place = first;
    const client = new Client(() => place.url, token);
    const writersOf = ({ database, url }: Place) => ({ database, networkId: network.id, url: () => url, token });
    await client.begin();
    await beside(writersOf(first), () => client.pull());
    await client.follow();
    await beside(writersOf(first), () => dumpInto(firstUrl, secondUrl));
    await first.close();

    place = await open(secondUrl);
    try {
      await beside(writersOf(place), async () => {
        for (let turn = 0; turn < 10; turn += 1) await client.follow(50);
      });
      await client.follow();
      expectOnce(client);
      expect(client.copy).toEqual(await table(place.database, network.id));
    } finally {
      await place.close();
    }
  });

  test('two restores of one backup are told apart', async () => {
    const [firstUrl, ...restoredUrls] = [
      await scratchUrl({ migrated: true }),
      await scratchUrl({ migrated: false }),
      await scratchUrl({ migrated: false }),
    ];
    const first = await open(firstUrl);
    const { network, token } = await makeNetwork(first.database);
    const [member] = await makeMembers(first.database, network.id, 1);
    for (const url of restoredUrls) await dumpInto(firstUrl, url);
    await first.close();
    const places = await Promise.all(restoredUrls.map(open));
    try {
      const positions: string[] = [];
      for (const place of places) {
        await place.database.pool.query('UPDATE members SET name = $2 WHERE id = $1', [member?.id, 'x']);
        positions.push((await ask(place, token, (await ask(place, token)).position)).position);
      }
      expect((await ask(places[1] as Place, token, positions[0])).code).toBe('POSITION_EXPIRED');
      expect((await ask(places[0] as Place, token, positions[0])).code).toBeNull();
    } finally {
      for (const place of places) await place.close();
    }
  });
});

test('an operator who has put files back says so, each time anew: no two restores of one backup are taken for one', async () => {
  const place = await open(await scratchUrl({ migrated: true }));
  try {
    const { network, token } = await makeNetwork(place.database);
    const { pool } = place.database;
    const atBackup = (await ask(place, token, (await ask(place, token)).position)).position;
    const backup = await pool.query('SELECT * FROM member_feeds');
    const beyond: string[] = [];
    for (const restore of ['first', 'second']) {
      await pool.query('DELETE FROM members');
      await pool.query('DELETE FROM member_deletions');
      await pool.query(
        `UPDATE member_feeds SET (position, epoch, place, history) =
          (SELECT position, epoch, place, history FROM jsonb_populate_record(NULL::member_feeds, $1))`,
        [JSON.stringify(backup.rows[0])],
      );
      await pool.query('SELECT member_feeds_restored()');
      await makeMembers(place.database, network.id, 1, () => ({ name: restore }));
      beyond.push((await ask(place, token, atBackup)).position);
    }
    await makeMembers(place.database, network.id, 5, () => ({ name: 'later' }));
    expect((await ask(place, token, String(beyond[0]))).code).toBe('POSITION_EXPIRED');
    expect((await ask(place, token, String(beyond[1]))).names).toEqual(Array(5).fill('later'));
  } finally {
    await place.close();
  }
});

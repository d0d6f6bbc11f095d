/** A statement ends with the request that asked for it, and with no other. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { cancellable } from '../../src/database/cancellation.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { DEADLINES } from '../../src/database/deadlines.ts';

let database: Database;
beforeAll(async () => {
  database = await openDatabase({ url: inject('databaseUrl'), dataDir: '', poolSize: 2, statementTimeoutMs: 30_000 });
});
afterAll(() => database.close());

const SLEEP = 'SELECT pg_sleep(20)';

function running(mark: string): Promise<number> {
  return database.prisma
    .$queryRawUnsafe<{ count: bigint }[]>(
      `SELECT count(*) AS count FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%${mark}%' AND pid <> pg_backend_pid()`,
    )
    .then(([row]) => Number(row?.count));
}

describe('a statement', () => {
  test.each([
    ['of the pool', (text: string) => database.pool.query(text)],
    ['of Prisma', (text: string) => database.prisma.$queryRawUnsafe(text)],
    [
      'in a transaction of Prisma’s',
      (text: string) => database.prisma.$transaction((all) => all.$queryRawUnsafe(text)),
    ],
  ])('%s ends when its signal fires, and its connection serves the next', async (name, run) => {
    const mark = `mark ${name.length}`;
    const limit = new AbortController();
    const work = cancellable(limit.signal, async () => run(`${SLEEP} /* ${mark} */`));
    const ended = expect(work).rejects.toThrow();
    await expect.poll(() => running(mark), { timeout: 10_000 }).toBe(1);
    const startedMs = performance.now();
    limit.abort(new Error('time is up'));
    await ended;
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    // The error is sent a moment before the session counts as idle.
    await expect.poll(() => running(mark), { timeout: 10_000 }).toBe(0);
    for (let round = 0; round < 4; round += 1) {
      expect((await database.pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    }
  });

  test('that waits for a connection keeps the signal of its own request', async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const busy = Array.from({ length: 2 }, () =>
      cancellable(first.signal, () => database.pool.query('SELECT pg_sleep(0.2)')),
    );
    const waiting = cancellable(second.signal, () => database.pool.query('SELECT pg_sleep(0.5), 7 AS seven'));
    await Promise.all(busy);
    first.abort(new Error('not meant for the one that waits'));
    expect((await waiting).rows[0]).toMatchObject({ seven: 7 });
  });

  test('is not begun once the signal has fired, but a transaction still ends', async () => {
    const limit = new AbortController();
    const before = cancellable(limit.signal, () =>
      database.prisma.$transaction(async (all) => {
        await all.$queryRawUnsafe('SELECT 1');
        limit.abort(new Error('time is up'));
        await all.$queryRawUnsafe('SELECT 2');
      }),
    );
    await expect(before).rejects.toThrow('time is up');
    const { rows } = await database.pool.query(
      "SELECT count(*)::int AS open FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND application_name = 'gatehouse' AND pid IN (SELECT pid FROM pg_stat_activity WHERE query = 'SELECT 1')",
    );
    expect(rows[0]).toEqual({ open: 0 });
  });

  test('without a signal runs to its end', async () => {
    expect((await database.pool.query('SELECT 3 AS three')).rows).toEqual([{ three: 3 }]);
  });
});

/** A proxy that speaks TLS in front of a database, as PostgreSQL does: after a request that is sent in the clear. */
async function openTlsProxy(databaseUrl: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=test',
  ];
  spawnSync('openssl', [...request, '-days', '1', '-keyout', key, '-out', cert]);
  const secureContext = createSecureContext({ key: await readFile(key), cert: await readFile(cert) });
  await rm(folder, { recursive: true });
  const url = new URL(databaseUrl);
  const host = url.searchParams.get('host');
  const port = Number(url.searchParams.get('port') ?? (url.port === '' ? '5432' : url.port));
  const target = host === null ? { host: url.hostname, port } : { path: `${host}/.s.PGSQL.${port}` };
  const server = createServer((near) => {
    near.on('error', () => undefined);
    near.once('data', () => {
      near.write('S');
      const secure = new TLSSocket(near, { isServer: true, secureContext });
      const far = connect(target);
      secure.on('error', () => far.destroy()).on('close', () => far.destroy());
      far.on('error', () => secure.destroy());
      secure.pipe(far).pipe(secure);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  url.search = '?sslmode=no-verify';
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return url.href;
}

test.skipIf(spawnSync('openssl', ['version']).status !== 0)(
  'a statement over TLS ends when its signal fires',
  async () => {
    const url = await openTlsProxy(inject('databaseUrl'));
    const deadlines = { ...DEADLINES, graceMs: 60_000 }; // so that nothing but the cancellation ends it
    const settings = { url, dataDir: '', poolSize: 1, statementTimeoutMs: 60_000, deadlines };
    const secure = await openDatabase(settings);
    try {
      const limit = new AbortController();
      const work = cancellable(limit.signal, () => secure.pool.query('SELECT pg_sleep(50) /* over TLS */'));
      const ended = expect(work).rejects.toMatchObject({ code: '57014' });
      await expect.poll(() => running('over TLS'), { timeout: 10_000 }).toBe(1);
      limit.abort(new Error('time is up'));
      await ended;
    } finally {
      await secure.close();
    }
  },
);

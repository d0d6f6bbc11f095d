/** How long a statement may go unanswered. */
import { createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ConnectionPool } from '../../src/database/connection-pool.ts';
import { StatementTimeout } from '../../src/database/deadlines.ts';
import { databaseFault } from '../../src/database/faults.ts';
import { sessionConfig } from '../../src/database/session-client.ts';
import { sessionSettings } from '../../src/database/session-settings.ts';

const SETTINGS = sessionSettings({ statementTimeoutMs: 60_000, lockTimeoutMs: 0, idleInTransactionTimeoutMs: 0 });

describe('the time limit of the server for a session’s statements', () => {
  test('is what the session has set last, and in a transaction what that has set, until it ends', () => {
    const timeout = new StatementTimeout(10_000);
    const limitAfter = (text: string) => {
      timeout.note(text);
      return timeout.ms;
    };
    expect(timeout.ms).toBe(10_000);
    expect(limitAfter('BEGIN')).toBe(10_000);
    expect(limitAfter('SET LOCAL statement_timeout = 20000')).toBe(20_000);
    expect(limitAfter('SELECT 1')).toBe(20_000);
    expect(limitAfter('ROLLBACK TO SAVEPOINT one')).toBe(20_000);
    expect(limitAfter('COMMIT')).toBe(10_000);
    expect(limitAfter('set local statement_timeout to 600000')).toBe(600_000);
    expect(limitAfter('ROLLBACK')).toBe(10_000);
    expect(limitAfter('SET statement_timeout = 500')).toBe(500);
  });

  test('stays where the server’s is switched off, and where a text only names it', () => {
    const timeout = new StatementTimeout(10_000);
    for (const text of ['SET statement_timeout = 0', "SELECT 'SET statement_timeout = 5'", 'SHOW statement_timeout']) {
      timeout.note(text);
      expect(timeout.ms).toBe(10_000);
    }
  });
});

describe('a server that is opened a connection to', () => {
  const CONNECT_MS = 500;
  const sockets = new Set<Socket>();

  /** The URL of a server that does with each connection what `act` does. */
  async function serverThat(act: (socket: Socket) => void): Promise<string> {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      act(socket);
      socket.resume(); // what is not read does not end, either
    });
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, '127.0.0.1', resolve);
    await promise;
    const address = server.address();
    return `postgres://somebody@127.0.0.1:${typeof address === 'object' ? address?.port : 0}/somewhere`;
  }

  test.for<[string, string, (socket: Socket) => void]>([
    ['accepts it and says nothing', '', () => undefined],
    ['accepts it and never begins with TLS', '?sslmode=no-verify', () => undefined],
    [
      'falls silent in the middle of TLS',
      '?sslmode=no-verify',
      (socket) => socket.once('data', () => socket.write('S')),
    ],
    ['has no TLS', '?sslmode=no-verify', (socket) => socket.once('data', () => socket.write('N'))],
    ['closes it at once', '', (socket) => socket.end()],
    ['breaks it', '', (socket) => socket.resetAndDestroy()],
    ['says what is no protocol of PostgreSQL', '', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('and %s is out of reach, in time', async ([, query, act]) => {
    const url = await serverThat(act);
    const deadlines = { connectMs: CONNECT_MS, lookupMs: 300, cancelMs: 200, graceMs: 200, farewellMs: 200 };
    const pool = new ConnectionPool({
      ...sessionConfig({ connectionString: url + query }, SETTINGS),
      max: 2,
      deadlines,
    });
    const failures = await Promise.all(
      Array.from({ length: 5 }, () =>
        pool.query('SELECT 1').then(
          () => null,
          (error: unknown) => databaseFault(error),
        ),
      ),
    );
    expect(failures.filter((fault) => fault !== 'unreachable' && fault !== 'busy')).toEqual([]);
    expect(failures).toContain('unreachable');
    await pool.end();
    await expect.poll(() => sockets.size).toBe(0);
  });
});

/**
 * The tests' own PostgreSQL connections. Each has an error listener, and `close` returns only once its connections are
 * closed: a database that is dropped by force ends whatever is still connected (57P01), and an `error` event that nobody
 * hears ends the test run. `pool.end()` alone is not enough: it resolves while its connections are still closing.
 */
import pg from 'pg';

export const { DatabaseError, escapeLiteral } = pg;

export interface TestPool extends pg.Pool {
  /** Resolves once every connection is closed. Idempotent. */
  close(): Promise<void>;
}

export function openPool(config: pg.PoolConfig): TestPool {
  const pool = new pg.Pool(config);
  const connections = new Map<pg.PoolClient, Promise<void>>();
  pool.on('error', ignore);
  pool.on('connect', (client) => {
    client.on('error', ignore);
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    connections.set(client, ended);
    void ended.then(() => connections.delete(client));
  });
  let closing: Promise<void> | null = null;
  const close = async () => {
    await pool.end();
    await Promise.all(connections.values());
  };
  return Object.assign(pool, {
    close() {
      closing ??= close();
      return closing;
    },
  });
}

export async function withPool<Result>(
  config: pg.PoolConfig,
  work: (pool: pg.Pool) => Promise<Result>,
): Promise<Result> {
  const pool = openPool(config);
  try {
    return await work(pool);
  } finally {
    await pool.close();
  }
}

/** A session of its own, such as for holding a lock. Its `end` resolves once the connection is closed. */
export async function openClient(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on('error', ignore);
  await client.connect();
  return client;
}

export async function withClient<Result>(
  connection: string | pg.ClientConfig,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await openClient(typeof connection === 'string' ? { connectionString: connection } : connection);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function ignore(): void {
  // Tests cut connections and drop databases on purpose; a statement under way fails with the same error.
}

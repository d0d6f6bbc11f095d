/** A PostgreSQL server for tests: the one of TEST_DATABASE_URL, whose user may create databases, or an embedded one. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { openPool } from '../support/postgres.ts';

/** For the hooks that open and close the server: a drop waits for a checkpoint, which a busy disk makes slow. */
export const SCRATCH_HOOK_TIMEOUT_MS = 60_000;
/** Checkpoints serve all the drops that wait for one together. */
const DROPS_AT_ONCE = 8;

export interface ScratchServer {
  /** A new empty database, dropped by `close`. */
  createDatabase(): Promise<pg.PoolConfig>;
  close(): Promise<void>;
}

interface Server {
  readonly admin: pg.PoolConfig;
  connectionTo(database: string): pg.PoolConfig;
  close(): Promise<void>;
}

export async function openScratchServer(): Promise<ScratchServer> {
  const url = process.env['TEST_DATABASE_URL'];
  const server = url === undefined || url === '' ? await embedded() : external(url);
  const admin = openPool({ ...server.admin, max: DROPS_AT_ONCE });
  const names: string[] = [];
  return {
    async createDatabase() {
      const name = `gatehouse_scratch_${randomBytes(6).toString('hex')}`;
      await admin.query(`CREATE DATABASE ${name}`);
      names.push(name);
      return server.connectionTo(name);
    },
    async close() {
      await Promise.all(names.map((name) => admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)));
      await admin.close();
      await server.close();
    },
  };
}

function external(url: string): Server {
  return {
    admin: { connectionString: url },
    connectionTo(database) {
      const to = new URL(url);
      to.pathname = `/${database}`;
      return { connectionString: to.href };
    },
    close: async () => undefined,
  };
}

async function embedded(): Promise<Server> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-scratch-'));
  // Only here: with a server given, its binaries need not be installed.
  const { openEmbedded } = await import('../../src/database/embedded/server.ts');
  const server = await openEmbedded({ dataDir });
  return {
    admin: server.connection,
    connectionTo: (database) => ({ ...server.connection, database }),
    async close() {
      await server.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

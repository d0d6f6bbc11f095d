/**
 * Runs a migration's script: all of it and its record in `_prisma_migrations` in one transaction, so that a kill at any
 * moment leaves both or neither. Prisma's adapter would split it at every `;`, those in function bodies, strings and
 * comments too, and leave half a migration where a part fails.
 */
import pg from 'pg';
import type { ConnectionPool } from '../connection-pool.ts';
import type { Limited } from '../pooled-client.ts';
import { watched } from './heartbeat.ts';
import { MigrationError } from './migration-error.ts';
import { requireLock, SETTINGS } from './session.ts';

const BEGUN = `
  SELECT id, migration_name AS name FROM public._prisma_migrations
  WHERE finished_at IS NULL AND rolled_back_at IS NULL`;

// Prisma counts the step and sets the moment again afterwards; it reads a row as applied by this column alone.
const FINISH = 'UPDATE public._prisma_migrations SET finished_at = clock_timestamp() WHERE id = $1';

interface BegunRow {
  readonly id: string;
  readonly name: string;
}

/** Throws a MigrationError that names the migration and what is wrong with it. */
export async function runScript(session: ConnectionPool, script: string): Promise<void> {
  const client = await session.connect();
  client.on('error', ignoreLoss);
  let broken = false;
  try {
    await inTransaction(session, client, script);
    await client.query(SETTINGS);
  } catch (error) {
    broken = !(await rollBack(client));
    throw error;
  } finally {
    client.off('error', ignoreLoss);
    client.release(broken);
  }
}

function ignoreLoss(): void {
  // The statement under way fails with it; unheard, the event would end the process.
}

async function inTransaction(session: ConnectionPool, client: pg.PoolClient, script: string): Promise<void> {
  await client.query('BEGIN');
  const pid = await requireLock(client);
  const begun = await begunRow(client);
  try {
    const unlimited: pg.QueryConfig & Limited = { text: script, limit: 'unlimited' };
    await watched(client, pid, session.config, () => client.query(unlimited));
    refuseOwnTransaction(client, begun.name);
    await client.query(FINISH, [begun.id]);
    await client.query('COMMIT');
  } catch (error) {
    throw error instanceof MigrationError ? error : scriptError(begun.name, script, error);
  }
}

/** The engine has just recorded the one that it now has us run. */
async function begunRow(client: pg.PoolClient): Promise<BegunRow> {
  const { rows } = await client.query<BegunRow>(BEGUN);
  const [row, ...others] = rows;
  if (row !== undefined && others.length === 0) return row;
  throw new MigrationError(`The record of migrations has ${rows.length} unfinished ones where one was expected.`);
}

function refuseOwnTransaction(client: pg.PoolClient, name: string): void {
  if (client.getTransactionStatus() === 'T') return;
  throw new MigrationError(
    `Migration ${name} ends the transaction that it runs in, so it may be there in part: ` +
      'take BEGIN, COMMIT and ROLLBACK out of it.',
  );
}

function scriptError(name: string, script: string, cause: unknown): MigrationError {
  if (!(cause instanceof pg.DatabaseError)) {
    return new MigrationError(`The connection was lost while migration ${name} ran: start again.`, { cause });
  }
  const line = lineOf(script, cause.position);
  const where = line === null ? '' : ` (line ${line})`;
  return new MigrationError(`Migration ${name} failed and left nothing behind: ${cause.message}${where}.`, { cause });
}

/** PostgreSQL counts characters, from one. */
function lineOf(script: string, position: string | undefined): number | null {
  if (position === undefined) return null;
  return [...script].slice(0, Number(position) - 1).filter((character) => character === '\n').length + 1;
}

/** Whether the connection is fit for more. */
async function rollBack(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query('ROLLBACK');
    await client.query(SETTINGS);
    return true;
  } catch {
    // The connection is gone, and the transaction with it; what went wrong before is the error to report.
    return false;
  }
}

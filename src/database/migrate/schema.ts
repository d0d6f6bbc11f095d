/** Whether the tables can be made where they belong, in the schema public, whatever the session's search path was. */
import type pg from 'pg';
import { MigrationError } from './migration-error.ts';

const MAY_CREATE = `
  SELECT pg_catalog.has_schema_privilege(oid, 'CREATE') AS allowed FROM pg_catalog.pg_namespace WHERE nspname = 'public'`;

/** Throws a MigrationError that says what to grant. */
export async function requireSchema(session: pg.Pool): Promise<void> {
  const { rows } = await session.query<{ allowed: boolean }>(MAY_CREATE);
  if (rows[0]?.allowed === true) return;
  throw new MigrationError(
    rows.length === 0
      ? 'This database has no schema public, which Gatehouse keeps its tables in: create it (CREATE SCHEMA public).'
      : 'Gatehouse keeps its tables in the schema public, where this user may not create any: make the user the ' +
          'owner of the database, or grant it the right (GRANT CREATE ON SCHEMA public TO …).',
  );
}

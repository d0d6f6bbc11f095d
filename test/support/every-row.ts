/** Whatever a database holds, as text to be searched. */
import type { Database } from '../../src/database/database.ts';

/** `except`: a table that is left out. */
export async function everyRow({ pool }: Database, except = ''): Promise<string> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> $1`,
    [except],
  );
  const texts = await Promise.all(
    tables.map(async ({ name }) => {
      const { rows: found } = await pool.query<{ row: string }>(`SELECT t::text AS row FROM "${name}" t`);
      return found.map(({ row }) => row).join('\n');
    }),
  );
  return texts.join('\n');
}

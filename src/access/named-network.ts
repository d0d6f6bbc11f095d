/** The network that a request names by its path or host, against the one that its token decides. */
import type { Database } from '../database/database.ts';
import { lookUp, prepare } from '../database/prepared.ts';
import { GatehouseError } from '../domain/errors.ts';
import { toId, uuidOf } from '../domain/id.ts';
import { forbidden, type Principal } from '../domain/verification.ts';

const BY_ID = 'SELECT 1 AS found FROM networks WHERE id = $1::uuid';
const BY_SLUG = 'SELECT 1 AS found FROM networks WHERE slug = $1';
/** A slug is a DNS label; nothing else is looked up. */
const SLUG = /^[a-z0-9-]{1,63}$/;

/** Null where the name is the token's own network: 404 when there is no such network, 403 when it is another's. */
export async function refuseOtherNetwork(
  database: Pick<Database, 'pool'>,
  principal: Principal,
  name: string,
): Promise<GatehouseError | null> {
  const slug = name.toLowerCase();
  if (slug === principal.networkSlug || name === toId('Network', principal.networkId)) return null;
  if (await exists(database, name, slug)) return forbidden('Forbidden: this token belongs to another network');
  return new GatehouseError('NOT_FOUND', 'Not Found: there is no such network');
}

async function exists(database: Pick<Database, 'pool'>, name: string, slug: string): Promise<boolean> {
  const uuid = uuidOf('Network', name);
  if (uuid === null && !SLUG.test(slug)) return false;
  const rows = await lookUp(database.pool, prepare(uuid === null ? BY_SLUG : BY_ID), [uuid ?? slug]);
  return rows.length > 0;
}

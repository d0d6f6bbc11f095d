/** The secrets that live on from a rotation, as a caller may see them: never a digest. */
import type pg from 'pg';
import { prepare, run } from './prepared.ts';

export interface PreviousSecret {
  readonly keyId: string;
  readonly redactedToken: string;
  readonly expiresAt: Date;
  readonly lastUsedAt: Date | null;
}

// A rotation inside an overlap ends the oldest, so that there is one a key.
const LIVING = `
SELECT key_id AS "keyId", COALESCE(redacted_token, '') AS "redactedToken", expires_at AS "expiresAt", last_used_at AS "lastUsedAt"
FROM secrets WHERE network_id = $1 AND key_id = ANY((SELECT $2::uuid[])::uuid[]) AND expires_at > statement_timestamp()`;

/** Of some keys of one network, by UUIDs. */
export function previousSecrets(
  pool: pg.Pool,
  networkId: string,
  keyIds: readonly string[],
): Promise<PreviousSecret[]> {
  return run<PreviousSecret & pg.QueryResultRow>(pool, prepare(LIVING), [networkId, [...keyIds]]);
}

/**
 * Verification: a header to a Verification, fresh from the database every time (promise 1: nobody caches one). Lookups
 * of concurrent requests share a query, which is what keeps that cheap.
 */
import DataLoader from 'dataloader';
import type { Database } from '../database/database.ts';
import { prepare, run } from '../database/prepared.ts';
import { SECRETS_BY_DIGEST, type SecretRow, toSecretRecord } from '../database/secrets.ts';
import type { Address } from '../domain/address.ts';
import { digestOf } from '../domain/token.ts';
import { type Denial, judge, type RefusedKey, type SecretRecord, type Verification } from '../domain/verification.ts';
import { BatchGate } from './batch-gate.ts';
import { readBearer } from './bearer.ts';
import { UnknownDigests } from './unknown-digests.ts';

const BATCH_MAX_DIGESTS = 500;
/** A token that was not let in. `key`: whose it is; null where no such token was found. */
export interface RefusedToken {
  readonly reason: Denial['status'];
  readonly key: RefusedKey | null;
}

/** Lookups under way at once. While both are out, requests that arrive gather in the next batch. */
const BATCHES_IN_FLIGHT_MAX = 2;

export class Verifier {
  readonly #unknown = new UnknownDigests();
  readonly #records: DataLoader<string, SecretRecord | null>;

  readonly #onRefused: (refused: RefusedToken) => void;

  /** `onRefused`: told of each token that is not let in, to count it. */
  constructor(database: Pick<Database, 'pool'>, onRefused: (refused: RefusedToken) => void) {
    this.#onRefused = onRefused;
    const gate = new BatchGate(BATCHES_IN_FLIGHT_MAX);
    const find = async (digests: readonly string[]) => {
      const found = await lookUp(database, digests);
      return digests.map((digest) => found.get(digest) ?? null);
    };
    this.#records = new DataLoader((digests) => gate.run(() => find(digests)), {
      // A batch is read after each of its requests arrived, so its answer is fresh for all; kept, it would not be.
      cache: false,
      maxBatchSize: BATCH_MAX_DIGESTS,
      batchScheduleFn: (dispatch) => gate.whenOpen(dispatch),
    });
  }

  /** `header`: the Authorization header. `address`: the caller's. Rejects where the database is out of reach. */
  async verify(header: string | undefined, address: Address | null): Promise<Verification> {
    const bearer = readBearer(header);
    if (bearer.status !== 'token') return this.#told({ status: bearer.status });
    const record = await this.#find(digestOf(bearer.token).toString('latin1'));
    return this.#told(judge(record, address));
  }

  async #find(digest: string): Promise<SecretRecord | null> {
    if (this.#unknown.has(digest)) return null;
    const record = await this.#records.load(digest);
    if (record === null) this.#unknown.add(digest);
    return record;
  }

  #told(verification: Verification): Verification {
    if (verification.status === 'valid') return verification;
    this.#onRefused({ reason: verification.status, key: 'key' in verification ? verification.key : null });
    return verification;
  }
}

async function lookUp(
  database: Pick<Database, 'pool'>,
  digests: readonly string[],
): Promise<Map<string, SecretRecord>> {
  const values = [digests.map((digest) => Buffer.from(digest, 'latin1'))];
  const rows = await run<SecretRow>(database.pool, prepare(SECRETS_BY_DIGEST), values);
  const records = rows.map(toSecretRecord);
  return new Map(records.map((record) => [record.digest.toString('latin1'), record]));
}

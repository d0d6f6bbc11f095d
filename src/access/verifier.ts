/**
 * Verification: a header to a Verification, fresh from the database every time (promise 1: nobody caches one). Lookups
 * of concurrent requests share a query, which is what keeps that cheap.
 */
import DataLoader from 'dataloader';
import { onBehalfOf, URGENT } from '../database/callers.ts';
import type { Database } from '../database/database.ts';
import { lookUp, prepare } from '../database/prepared.ts';
import { nowOf, SECRETS_BY_DIGEST, type SecretRow, toSecretRecord } from '../database/secrets.ts';
import type { Address } from '../domain/address.ts';
import { digestOf } from '../domain/token.ts';
import { UnreadableValueError } from '../domain/unreadable.ts';
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
/** A lookup ends sooner (DEADLINES), unless no connection is free. */
const BATCH_LATE_AFTER_MS = 5_000;
/** Of no token: a probe looks for it. */
const NO_DIGEST = Buffer.alloc(32).toString('latin1');

export class Verifier {
  readonly #unknown = new UnknownDigests();
  readonly #records: DataLoader<string, SecretRecord | null>;

  readonly #onRefused: (refused: RefusedToken) => void;

  /**
   * `onRefused`: told of each token that is not let in, to count it. `onTime`: told of the database's time with each lookup,
   * in milliseconds since 1970.
   */
  constructor(
    database: Pick<Database, 'pool'>,
    onRefused: (refused: RefusedToken) => void,
    onTime: (databaseMs: number) => void = () => undefined,
  ) {
    this.#onRefused = onRefused;
    const gate = new BatchGate(BATCHES_IN_FLIGHT_MAX, BATCH_LATE_AFTER_MS);
    const find = async (digests: readonly string[]): Promise<(SecretRecord | Error | null)[]> => {
      const found = await secretsOf(database, digests, onTime);
      return digests.map((digest) => found.get(digest) ?? null);
    };
    this.#records = new DataLoader((digests) => gate.run(() => onBehalfOf(URGENT, () => find(digests))), {
      // A batch is read after each of its requests arrived, so its answer is fresh for all; kept, it would not be.
      cache: false,
      maxBatchSize: BATCH_MAX_DIGESTS,
      batchScheduleFn: (dispatch) => gate.whenOpen(dispatch),
    });
  }

  /**
   * `header`: the Authorization header. `address`: the caller's. Rejects where the database is out of reach, and with an
   * UnreadableValueError where what is stored behind the token cannot be read.
   */
  async verify(header: string | undefined, address: Address | null): Promise<Verification> {
    const bearer = readBearer(header);
    if (bearer.status !== 'token') return this.#told({ status: bearer.status });
    const record = await this.#find(digestOf(bearer.token).toString('latin1'));
    return this.#told(judge(record, address));
  }

  /** Resolves once a lookup has gone the way that those of requests go, and has come back. Rejects as `verify` does. */
  async probe(): Promise<void> {
    await this.#records.load(NO_DIGEST);
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

async function secretsOf(
  database: Pick<Database, 'pool'>,
  digests: readonly string[],
  onTime: (databaseMs: number) => void,
): Promise<Map<string, SecretRecord | UnreadableValueError>> {
  const values = [digests.map((digest) => Buffer.from(digest, 'latin1'))];
  const rows = await lookUp<SecretRow>(database.pool, prepare(SECRETS_BY_DIGEST), values);
  const [first] = rows;
  if (first !== undefined) onTime(nowOf(first));
  return new Map(rows.map((row) => [Buffer.from(row.digest).toString('latin1'), readRecord(row)]));
}

/** A row that cannot be read refuses its own requests, and no other ones of the batch. */
function readRecord(row: SecretRow): SecretRecord | UnreadableValueError {
  try {
    return toSecretRecord(row);
  } catch (error) {
    if (error instanceof UnreadableValueError) return error;
    throw error;
  }
}

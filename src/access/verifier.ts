/**
 * Verification: a header to a Verification, fresh from the database every time (promise 1: nobody caches one). Lookups
 * of concurrent requests share a query, which is what keeps that cheap.
 */
import DataLoader from 'dataloader';
import type { Database } from '../database/database.ts';
import { prepare, run } from '../database/prepared.ts';
import { SECRETS_BY_DIGEST, type SecretRow, toSecretRecord } from '../database/secrets.ts';
import { digestOf } from '../domain/token.ts';
import { judge, type SecretRecord, type Verification } from '../domain/verification.ts';
import { BatchGate } from './batch-gate.ts';
import { readBearer } from './bearer.ts';
import { UnknownDigests } from './unknown-digests.ts';

const BATCH_MAX_DIGESTS = 500;
/** Lookups under way at once. While both are out, requests that arrive gather in the next batch. */
const BATCHES_IN_FLIGHT_MAX = 2;

export class Verifier {
  readonly #unknown = new UnknownDigests();
  readonly #records: DataLoader<string, SecretRecord | null>;

  constructor(database: Pick<Database, 'pool'>) {
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

  /** `header`: the Authorization header. Rejects where the database is out of reach. */
  async verify(header: string | undefined): Promise<Verification> {
    const bearer = readBearer(header);
    if (bearer.status !== 'token') return { status: bearer.status };
    const digest = digestOf(bearer.token).toString('latin1');
    if (this.#unknown.has(digest)) return { status: 'unknown' };
    const record = await this.#records.load(digest);
    if (record === null) this.#unknown.add(digest);
    return judge(record);
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

/** Related objects by id, one query a type and level, within one request and one network. Keys are UUIDs. */
import DataLoader from 'dataloader';
import type { Admin, AuditEvent, Member, Network } from '../database/generated/client.ts';
import type { NetworkReads } from '../database/network-reads.ts';
import type { PreviousSecret } from '../database/previous-secrets.ts';
import { AUDIT_EVENTS } from '../database/record-lists.ts';
import { ADMINS, API_KEYS, type KeyRow, MEMBERS } from '../database/tables.ts';
import { GatehouseError } from '../domain/errors.ts';
import { bucketsIn, type UsageFigures, type UsageRange } from '../domain/usage.ts';

const BATCH_MAX_IDS = 1_000;
/** Members can be long: as many as a page has. */
const BATCH_MAX_MEMBERS = 250;
/** Buckets of usage that one request is shown, all its keys and fields together. */
const USAGE_BUCKETS_A_REQUEST_MAX = 20_000;

export class Loaders {
  readonly network: DataLoader<string, Network | null>;
  readonly admin: DataLoader<string, Admin | null>;
  readonly apiKey: DataLoader<string, KeyRow | null>;
  /** By the key's id: its secret that lives on from a rotation. */
  readonly previousSecret: DataLoader<string, PreviousSecret | null>;
  readonly member: DataLoader<string, Member | null>;
  readonly auditEvent: DataLoader<string, AuditEvent | null>;
  readonly #reads: NetworkReads;
  readonly #usage = new Map<string, DataLoader<string, readonly UsageEntry[]>>();
  #usageBuckets = 0;

  /** `selection`: of the operation; of members, only what it names is read. */
  constructor(reads: NetworkReads, selection: { readonly names: ReadonlySet<string> | null } = { names: null }) {
    this.#reads = reads;
    this.network = by('id', (ids) => networksOf(reads, ids));
    this.admin = by('id', (ids) => reads.byIds<Admin>(ADMINS, ids));
    this.apiKey = by('id', (ids) => reads.byIds<KeyRow>(API_KEYS, ids));
    this.previousSecret = by('keyId', (ids) => reads.previousSecrets(ids));
    this.member = by('id', (ids) => reads.byIds<Member>(MEMBERS, ids, selection.names), BATCH_MAX_MEMBERS);
    this.auditEvent = by('id', (ids) => reads.byIds<AuditEvent>(AUDIT_EVENTS, ids));
  }

  /**
   * The usage of a key, or of the network as a whole (null): one query for any number of keys, for each range that the
   * request asks for. Buckets without a request are left out.
   */
  async usage(range: UsageRange, keyId: string | null): Promise<readonly UsageEntry[]> {
    this.#usageBuckets += bucketsIn(range);
    if (this.#usageBuckets > USAGE_BUCKETS_A_REQUEST_MAX) {
      const message = `Query asks for the usage of more than ${USAGE_BUCKETS_A_REQUEST_MAX} buckets: fewer keys, or longer buckets, will do`;
      throw new GatehouseError('QUERY_TOO_EXPENSIVE', message, {
        extensions: { bound: USAGE_BUCKETS_A_REQUEST_MAX },
      });
    }
    const name = `${keyId === null ? 'network' : 'keys'} ${range.bucket} ${range.since.getTime()} ${range.until.getTime()}`;
    const loader = this.#usage.get(name) ?? this.#usageLoader(range);
    this.#usage.set(name, loader);
    return loader.load(keyId ?? WHOLE_NETWORK);
  }

  #usageLoader(range: UsageRange): DataLoader<string, readonly UsageEntry[]> {
    return new DataLoader(
      async (keyIds) => {
        const rows = await this.#reads.usage(range, keyIds[0] === WHOLE_NETWORK ? null : keyIds);
        const entries = Map.groupBy(rows, (row) => row.keyId ?? WHOLE_NETWORK);
        return keyIds.map((keyId) => entries.get(keyId) ?? []);
      },
      { maxBatchSize: BATCH_MAX_IDS },
    );
  }
}

const WHOLE_NETWORK = 'network';

export type UsageEntry = UsageFigures & { readonly startsAt: Date };

/** No other network is looked for: how long that takes would tell whether it exists. */
async function networksOf(reads: NetworkReads, ids: readonly string[]): Promise<Network[]> {
  return ids.includes(reads.networkId) ? reads.prisma.network.findMany({ where: { id: reads.networkId } }) : [];
}

function by<Property extends string, Row extends Readonly<Record<Property, string>>>(
  property: Property,
  find: (ids: readonly string[]) => Promise<Row[]>,
  maxBatchSize = BATCH_MAX_IDS,
): DataLoader<string, Row | null> {
  return new DataLoader(
    async (ids) => {
      const rows = new Map((await find(ids)).map((row): [string, Row] => [row[property], row]));
      return ids.map((id) => rows.get(id) ?? null);
    },
    { maxBatchSize },
  );
}

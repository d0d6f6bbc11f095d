/** Related objects by id, one query a type and level, within one request and one network. Keys are UUIDs. */
import DataLoader from 'dataloader';
import type { Admin, ApiKey, Member, Network } from '../database/generated/client.ts';
import type { NetworkReads } from '../database/network-reads.ts';

const BATCH_MAX_IDS = 1_000;

export class Loaders {
  readonly network: DataLoader<string, Network | null>;
  readonly admin: DataLoader<string, Admin | null>;
  readonly apiKey: DataLoader<string, ApiKey | null>;
  readonly member: DataLoader<string, Member | null>;

  constructor(reads: NetworkReads) {
    this.network = byId((where) => reads.prisma.network.findMany({ where }));
    this.admin = byId((where) => reads.prisma.admin.findMany({ where }));
    this.apiKey = byId((where) => reads.prisma.apiKey.findMany({ where }));
    this.member = byId((where) => reads.prisma.member.findMany({ where }));
  }
}

function byId<Row extends { id: string }>(
  find: (where: { id: { in: string[] } }) => Promise<Row[]>,
): DataLoader<string, Row | null> {
  return new DataLoader(
    async (ids) => {
      const rows = new Map((await find({ id: { in: [...ids] } })).map((row) => [row.id, row]));
      return ids.map((id) => rows.get(id) ?? null);
    },
    { maxBatchSize: BATCH_MAX_IDS },
  );
}

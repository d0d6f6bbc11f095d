/** What a command works with: the database of the settings, opened for it and closed after it. */
import type { Command } from 'commander';
import { readConfig, usageRetentionOf } from '../config.ts';
import { type Database, openDatabase } from '../database/database.ts';
import type { Network } from '../database/generated/client.ts';
import { uuidOf } from '../domain/id.ts';
import type { UsageRetention } from '../domain/usage.ts';
import { findNetwork } from '../services/networks.ts';
import { isJson } from './arguments.ts';
import { notFound } from './failure.ts';
import { Output } from './output.ts';

export interface Session {
  readonly database: Database;
  readonly output: Output;
  readonly usageRetention: UsageRetention;
}

/** Starts the embedded server where nobody runs it, or attaches to it; so too with a gateway running. */
export async function inSession(command: Command, work: (session: Session) => Promise<void>): Promise<void> {
  const config = readConfig();
  const output = new Output(isJson(command));
  const database = await openDatabase({
    url: config.DATABASE_URL,
    dataDir: config.DATA_DIR,
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeoutMs: config.STATEMENT_TIMEOUT_MS,
    auditRetentionDays: config.AUDIT_RETENTION_DAYS,
  });
  try {
    for (const notice of database.notices) output.note(notice);
    await work({ database, output, usageRetention: usageRetentionOf(config) });
  } finally {
    await database.close();
  }
}

/** For what is kept of a network beyond its deletion: an id counts whether or not there is such a network. */
export async function networkIdOf(session: Session, reference: string): Promise<string> {
  return uuidOf('Network', reference) ?? (await theNetwork(session, reference)).id;
}

/** The network that was named; throws Refused where there is none. */
export async function theNetwork({ database }: Session, reference: string): Promise<Network> {
  const network = await findNetwork(database, reference);
  if (network === null) throw notFound(`There is no network ${reference}`, 'network');
  return network;
}

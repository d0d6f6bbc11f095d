/** What a command works with: the database of the settings, opened for it and closed after it. */
import type { Command } from 'commander';
import { readConfig } from '../config.ts';
import { type Database, openDatabase } from '../database/database.ts';
import type { Network } from '../database/generated/client.ts';
import { findNetwork } from '../services/networks.ts';
import { isJson } from './arguments.ts';
import { notFound } from './failure.ts';
import { Output } from './output.ts';

export interface Session {
  readonly database: Database;
  readonly output: Output;
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
  });
  try {
    for (const notice of database.notices) output.note(notice);
    await work({ database, output });
  } finally {
    await database.close();
  }
}

/** The network that was named; throws Refused where there is none. */
export async function theNetwork({ database }: Session, reference: string): Promise<Network> {
  const network = await findNetwork(database, reference);
  if (network === null) throw notFound(`There is no network ${reference}`, 'network');
  return network;
}

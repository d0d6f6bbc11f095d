/** Which keys, as options: the same for a list and for a revocation. */
import { InvalidArgumentError, Option } from 'commander';
import type { Network } from '../database/generated/client.ts';
import type { KeyFilter } from '../database/key-filter.ts';
import type { KeyStatus } from '../domain/api-key.ts';
import { uuidOf } from '../domain/id.ts';
import { fold } from '../domain/text.ts';
import { ENVIRONMENTS, type Environment } from '../domain/token.ts';
import { findAdmin } from '../services/admins.ts';
import { choicesOption, durationMs, isoTime, scopes } from './arguments.ts';
import { notFound } from './failure.ts';
import type { Session } from './session.ts';

const STATUSES = ['ACTIVE', 'EXPIRED', 'REVOKED'] as const satisfies readonly KeyStatus[];

export interface KeyFilterOptions {
  readonly status?: readonly KeyStatus[];
  readonly environment?: readonly Environment[];
  readonly scope?: readonly string[];
  /** E-mail addresses or ids. */
  readonly createdBy?: readonly string[];
  /** UUIDs. */
  readonly createdByKey?: readonly string[];
  readonly expiresBefore?: Date;
  readonly unusedSince?: Date;
  /** Milliseconds. */
  readonly unusedFor?: number;
  readonly name?: string;
}

export function keyFilterOptions(): Option[] {
  return [
    choicesOption('--status <status>', 'in any of these states', STATUSES),
    choicesOption('--environment <environment>', 'of any of these', ENVIRONMENTS),
    new Option('--scope <scope>', 'that were given any of these').argParser(scopes),
    new Option('--created-by <admin>', 'that act for any of these, by e-mail address or id').argParser(words),
    new Option('--created-by-key <id>', 'that were made with any of these keys').argParser(keyIds),
    new Option('--expires-before <time>', 'that end before then, in ISO 8601').argParser(isoTime),
    new Option('--unused-since <time>', 'that were not used since then').argParser(isoTime),
    new Option('--unused-for <time>', 'that were not used for so long, such as 90d')
      .argParser(durationMs)
      .conflicts('unusedSince'),
    new Option('--name <part>', 'with this in their name, in any case').argParser(namePart),
  ];
}

/** Whether any of them is given. */
export function saysWhich(options: KeyFilterOptions): boolean {
  return Object.values(options).some((value) => value !== undefined);
}

/** A time from now back counts by the database's clock. */
export async function keyFilterOf(session: Session, network: Network, options: KeyFilterOptions): Promise<KeyFilter> {
  const { status, environment, scope, createdBy, createdByKey, expiresBefore, name } = options;
  return {
    status,
    environment,
    scope,
    adminId: createdBy === undefined ? undefined : await adminIds(session, network, createdBy),
    makerKeyId: createdByKey,
    expiresBefore,
    unusedSince: await unusedSinceOf(session, options),
    nameContains: name === undefined ? undefined : fold(name),
  };
}

async function unusedSinceOf(
  { database }: Session,
  { unusedSince, unusedFor }: KeyFilterOptions,
): Promise<Date | undefined> {
  if (unusedFor === undefined) return unusedSince;
  await database.clock.read(database.pool);
  return new Date(database.clock.now() - unusedFor);
}

/** An admin who was removed is found by the id alone. */
async function adminIds({ database }: Session, network: Network, references: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const reference of references) {
    const id = uuidOf('Admin', reference) ?? (await findAdmin(database, network.id, reference))?.id;
    if (id === undefined) throw notFound(`${network.slug} has no admin ${reference}`, 'createdBy');
    ids.push(id);
  }
  return ids;
}

/** Repeated, or several with commas between them. */
function words(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(',').map((word) => word.trim())];
}

function keyIds(text: string, before: readonly string[] = []): string[] {
  const given = words(text).map((word) => uuidOf('ApiKey', word));
  if (given.includes(null)) throw new InvalidArgumentError('It is the id of a key, such as key_….');
  return [...before, ...given.filter((id) => id !== null)];
}

/** An empty one is a part of every name: it must not stand for all keys. */
function namePart(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is a part of the name.');
  return text;
}

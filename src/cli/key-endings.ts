/** `gatehouse key revoke | delete` */
import type { Command } from 'commander';
import type { Network } from '../database/generated/client.ts';
import type { KeyRow } from '../database/tables.ts';
import { toId } from '../domain/id.ts';
import { COMMAND_LINE } from '../services/actor.ts';
import { deleteApiKey } from '../services/api-keys/delete.ts';
import {
  revokeApiKey,
  revokeApiKeys,
  type RevokeOptions as ServiceOptions,
  type WhichKeys,
} from '../services/api-keys/revoke.ts';
import { networkOption } from './arguments.ts';
import { accepted, UsageError } from './failure.ts';
import { type KeyFilterOptions, keyFilterOf, keyFilterOptions, saysWhich } from './key-filter.ts';
import { documentOf, theKey } from './key-reference.ts';
import { inSession, type Session, theNetwork } from './session.ts';

export function addEndingCommands(key: Command): void {
  addRevoke(key);
  addDelete(key);
}

interface RevokeOptions extends KeyFilterOptions {
  readonly network: string;
  readonly reason?: string;
  readonly includeCreated?: boolean;
}

function addRevoke(key: Command): void {
  const revoke = key
    .command('revoke')
    .description(
      'end keys for good, by id or all that a filter finds: when this returns, their tokens are let in nowhere',
    )
    .argument('[id...]', "a key's id, as `key list` shows it, or its token; - reads that from standard input")
    .addOption(networkOption())
    .option('--reason <reason>', 'why, for people')
    .option('--include-created', 'also the keys that were made with it or whose tokens it was given, and so on')
    .optionsGroup('In place of ids, the keys that satisfy all that is given of:');
  for (const option of keyFilterOptions()) revoke.addOption(option);
  revoke.addHelpText('after', REVOKE_HELP).action((ids: string[], options: RevokeOptions, command: Command) => {
    const { network: reference, reason, includeCreated = false, ...filter } = options;
    const hasIds = ids.length > 0;
    if (hasIds === saysWhich(filter))
      throw new UsageError('give either ids or options that say which keys (--help lists them)');
    return inSession(command, async (session) => {
      const network = await theNetwork(session, reference);
      const how = { reason: reason ?? null, includeCreated };
      if (!hasIds) return revokeSeveral(session, network, { filter: await keyFilterOf(session, network, filter) }, how);
      const [first, ...others] = await theKeys(session, network, ids);
      if (first !== undefined && others.length === 0) return revokeOne(session, network, first, how);
      return revokeSeveral(session, network, { keyIds: [first, ...others].flatMap((key) => key?.id ?? []) }, how);
    });
  });
}

/** `-`: what standard input names. */
async function theKeys(session: Session, network: Network, references: readonly string[]): Promise<KeyRow[]> {
  const found: KeyRow[] = [];
  for (const id of references) found.push(await theKey(session, network, id === '-' ? await standardInput() : id));
  return found;
}

/** How they end, and what ends with them. */
type How = Required<Pick<ServiceOptions, 'reason' | 'includeCreated'>>;

const REVOKE_HELP = `
Examples:
  $ gatehouse key revoke --network acme key_01h455vb4pex5vsknk084sn02q --reason "left the project"
  $ gatehouse key revoke --network acme --include-created - < found-token.txt
  $ gatehouse key revoke --network acme --unused-for 90d
  $ gatehouse key revoke --network acme --created-by ada@acme.test --environment test

\`key list\` takes the same options: look there first.`;

async function revokeOne({ database, output }: Session, network: Network, found: KeyRow, how: How): Promise<void> {
  const { apiKey, revokedCount } = accepted(await revokeApiKey(database, COMMAND_LINE, network.id, found.id, how));
  const more = how.includeCreated ? ` With it and all that it made, ${revokedCount} keys have ended now.` : '';
  const text = `Revoked the key ${apiKey.name} (${toId('ApiKey', apiKey.id)}) of ${network.slug}.${more}`;
  await output.answer({ ...documentOf(apiKey), revokedCount }, text);
}

/** Call by call, until a filter finds no more: what it has found has ended by then. */
async function revokeSeveral(
  { database, output }: Session,
  network: Network,
  which: WhichKeys,
  how: How,
): Promise<void> {
  const ids: string[] = [];
  let revokedCount = 0;
  for (let hasMore = true; hasMore; ) {
    const outcome = accepted(await revokeApiKeys(database, COMMAND_LINE, network.id, which, how));
    ids.push(...outcome.keys.map(({ id }) => toId('ApiKey', id)));
    revokedCount += outcome.revokedCount;
    hasMore = outcome.hasMore;
  }
  await output.answer({ ids, revokedCount }, [...ids, `Revoked ${revokedCount} keys of ${network.slug}.`].join('\n'));
}

/** Where a token belongs: what is typed as an argument, other users of the machine can see. */
async function standardInput(): Promise<string> {
  let text = '';
  for await (const piece of process.stdin.setEncoding('utf8')) {
    text += piece;
    if (text.length > INPUT_MAX_CHARACTERS) break;
  }
  return text.trim();
}

const INPUT_MAX_CHARACTERS = 1_000;

function addDelete(key: Command): void {
  key
    .command('delete')
    .description('remove a revoked or expired key for good; its audit events stay')
    .argument('<id>', "the key's id")
    .addOption(networkOption())
    .action((id: string, { network: reference }: { network: string }, command: Command) =>
      inSession(command, async (session) => {
        const network = await theNetwork(session, reference);
        const found = await theKey(session, network, id);
        accepted(await deleteApiKey(session.database, COMMAND_LINE, network.id, found.id));
        const publicId = toId('ApiKey', found.id);
        const document = { id: publicId, name: found.name, deleted: true };
        await session.output.answer(document, `Deleted the key ${found.name} (${publicId}) of ${network.slug}.`);
      }),
    );
}

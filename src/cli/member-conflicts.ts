/** `gatehouse member conflicts`: members that have one mailbox, which are never merged. */
import type { Command } from 'commander';
import { toId } from '../domain/id.ts';
import {
  type ConflictingMember,
  type MailboxConflict,
  mailboxConflicts,
} from '../services/members/mailbox-conflicts.ts';
import { networkOption } from './arguments.ts';
import type { TableColumn } from './output.ts';
import { inSession, theNetwork } from './session.ts';

export function addConflicts(member: Command): void {
  member
    .command('conflicts')
    .description('list members whose mailbox another member has, under another spelling of its domain')
    .addOption(networkOption())
    .addHelpText('after', CONFLICTS_HELP)
    .action(({ network }: { readonly network: string }, command: Command) =>
      inSession(command, async (session) => {
        const { id } = await theNetwork(session, network);
        await session.output.list(mailboxConflicts(session.database, id), conflictDocument, CONFLICT_COLUMNS);
      }),
    );
}

const CONFLICTS_HELP = `
A domain has several spellings, such as bücher.example and xn--bcher-kva.example. Members that were stored under two of them
before Gatehouse knew that are not merged. Each keeps its address and is found by it; the one in HELD BY is found by any other
spelling, too. To end a conflict, delete one of the two members or change its address.

Example:
  $ gatehouse member conflicts --network acme --json | jq length`;

const CONFLICT_COLUMNS: readonly TableColumn<MailboxConflict>[] = [
  ['MEMBER', ({ member }) => toId('Member', member.id)],
  ['EMAIL', ({ member }) => member.email],
  ['HELD BY', ({ holder }) => toId('Member', holder.id)],
  ['EMAIL', ({ holder }) => holder.email],
  ['MAILBOX', ({ mailbox }) => mailbox],
];

function conflictDocument({ mailbox, member, holder }: MailboxConflict): Record<string, unknown> {
  return { mailbox, member: memberDocument(member), heldBy: memberDocument(holder) };
}

function memberDocument({ id, email, externalId }: ConflictingMember): Record<string, unknown> {
  return { id: toId('Member', id), email, externalId };
}

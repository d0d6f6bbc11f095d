/** `gatehouse member …` */
import { type Command, Option } from 'commander';
import { exportMembers } from '../services/members/export.ts';
import type { SourceFormat } from '../services/members/source.ts';
import { isJson, networkOption } from './arguments.ts';
import { accepted, UsageError } from './failure.ts';
import { addConflicts } from './member-conflicts.ts';
import { addImport } from './member-import.ts';
import { inSession, theNetwork } from './session.ts';

export function addMemberCommands(program: Command): void {
  const member = program.command('member').description('members, the people of a network');
  addImport(member);
  addExport(member);
  addConflicts(member);
}

interface MemberOptions {
  readonly network: string;
  readonly format?: SourceFormat;
}

function addExport(member: Command): void {
  member
    .command('export')
    .description('write all members of a network to standard output, as one moment saw them')
    .addOption(networkOption())
    .addOption(new Option('--format <format>', 'jsonl (the default) or csv').choices(['jsonl', 'csv']))
    .addHelpText('after', EXPORT_HELP)
    .action(({ network, format }: MemberOptions, command: Command) => {
      const json = isJson(command);
      if (json && format === 'csv') throw new UsageError('--json and --format csv do not go together');
      return inSession(command, async (session) => {
        const { database, output } = session;
        const { id } = await theNetwork(session, network);
        const sink = (text: string): Promise<void> => output.stream(text);
        accepted(await exportMembers(database, id, json ? 'json' : (format ?? 'jsonl'), sink));
      });
    });
}

const EXPORT_HELP = `
The columns are those of import, so that an export can be imported. JSON Lines comes back exactly as it went out; CSV
says less: a custom field that is no text comes back as text, and an empty one as absent. With --json the members are one
JSON array, which import does not read.

Example:
  $ gatehouse member export --network acme | gatehouse member import --network copy -`;

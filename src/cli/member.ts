/** `gatehouse member …` */
import { type Command, Option } from 'commander';
import { COMMAND_LINE } from '../services/actor.ts';
import { exportMembers } from '../services/members/export.ts';
import { type ImportReport, importMembers } from '../services/members/import.ts';
import type { SourceFormat } from '../services/members/source.ts';
import { isJson, networkOption } from './arguments.ts';
import { accepted, type Problem, problemOf, Refused, UsageError } from './failure.ts';
import { addConflicts } from './member-conflicts.ts';
import { startProgress } from './progress.ts';
import { inSession, type Session, theNetwork } from './session.ts';
import { openSource } from './source-file.ts';

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

function addImport(member: Command): void {
  member
    .command('import')
    .description('create and update members from CSV or JSON Lines, of any size')
    .argument('<file>', 'a .csv or .jsonl file, or - for standard input')
    .addOption(networkOption())
    .addOption(new Option('--format <format>', 'where the name does not say it').choices(['csv', 'jsonl']))
    .addHelpText('after', IMPORT_HELP)
    .action((file: string, options: MemberOptions, command: Command) =>
      inSession(command, (session) => importFile(session, file, options)),
    );
}

const IMPORT_HELP = `
Columns of CSV, in any order, or keys of JSON Lines:
  email, name   required
  externalId    your own id of the member, unique in the network
  role          owner, admin, moderator or member (member)
  status        active, invited or suspended (active)
  avatarUrl     an http or https URL
  location      any text
  tags          in CSV with ; between them (\\; is a semicolon in a tag), in JSON a list
  timeZone      the IANA name of their time zone, such as Europe/Berlin
  permalink     the URL of their page in your community, http or https
  createdAt     when they joined: ISO 8601 with a time zone, or a date (now)
  lastActiveAt  when they were last active in your community, likewise (never)
  any other     becomes a custom field of that name

A member is known by externalId, else by e-mail address without regard to case and to how its domain is spelled, so an
import can be repeated. What a line leaves out (in CSV: an empty cell) stays as it is; null in JSON Lines erases it. A line
that is at fault is rejected with its number and reason, and the import goes on; the exit code is 0 all the same.

Examples:
  $ gatehouse member import --network acme members.csv
  $ zcat members.jsonl.gz | gatehouse member import --network acme --json - | jq .rejected`;

async function importFile(session: Session, file: string, { network, format }: MemberOptions): Promise<void> {
  const { database, output } = session;
  const { id, slug } = await theNetwork(session, network);
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  // Once each: a second Ctrl-C ends the process at once, and what is committed is there.
  for (const signal of SIGNALS) process.once(signal, interrupt);
  const source = await openSource(file, format, interruption.signal);
  const progress = startProgress(source.bytes);
  let done: ImportReport = { created: 0, updated: 0, unchanged: 0, rejectedCount: 0, rejected: [] };
  const onCommit = (report: ImportReport, sourceBytes: number): void => {
    done = report;
    progress.show(report, sourceBytes);
  };
  try {
    const input = { source: source.source, format: source.format, onCommit };
    const { report } = accepted(await importMembers(database, COMMAND_LINE, id, input));
    progress.end();
    await output.answer(documentOf(report), `Imported into ${slug}: ${inWords(report)}.${rejections(report)}`);
  } catch (error) {
    progress.end();
    throw interrupted(error, interruption.signal.aborted, done);
  } finally {
    source.close();
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What was committed before is there: say what. */
function interrupted(error: unknown, byOperator: boolean, done: ImportReport): Refused {
  const stopped: Problem = { code: 'INTERRUPTED', message: 'The import was stopped.', field: [] };
  const problems = byOperator ? [stopped] : error instanceof Refused ? error.errors : [problemOf(error)];
  const isBegun = done.created + done.updated + done.unchanged + done.rejectedCount > 0;
  const soFar = isBegun
    ? `Done before that, and kept: ${inWords(done)}. Run it again to finish.`
    : 'Nothing was imported.';
  const [first = stopped, ...rest] = problems;
  return new Refused([{ ...first, message: `${first.message}\n${soFar}` }, ...rest], documentOf(done));
}

function documentOf({ created, updated, unchanged, rejected, rejectedCount }: ImportReport): Record<string, unknown> {
  return { created, updated, unchanged, rejected, rejectedCount };
}

function inWords({ created, updated, unchanged, rejectedCount }: ImportReport): string {
  const figures = { created, updated, unchanged, rejected: rejectedCount };
  return Object.entries(figures)
    .map(([what, count]) => `${count.toLocaleString('en')} ${what}`)
    .join(', ');
}

function linesOf({ line, endLine }: ImportReport['rejected'][number]): string {
  return endLine === undefined ? `line ${line}` : `lines ${line} to ${endLine}`;
}

function rejections({ rejected, rejectedCount }: ImportReport): string {
  const lines = rejected.map((each) => `\n  ${linesOf(each)}: ${each.reason}`).join('');
  const unnamed = rejectedCount - rejected.length;
  return unnamed === 0 ? lines : `${lines}\n  … and ${unnamed.toLocaleString('en')} more that are not listed`;
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

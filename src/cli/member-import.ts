/** `gatehouse member import …` */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { COMMAND_LINE } from '../services/actor.ts';
import { encodingName } from '../services/members/decoder.ts';
import { type ImportReport, importMembers } from '../services/members/import.ts';
import { mappedName } from '../services/members/resolve-columns.ts';
import type { SourceFormat } from '../services/members/source.ts';
import { networkOption } from './arguments.ts';
import { accepted, type Problem, problemOf, Refused } from './failure.ts';
import { documentOf, inWords, summary } from './import-report.ts';
import { startProgress } from './progress.ts';
import { inSession, type Session, theNetwork } from './session.ts';
import { openSource, type SourceFile } from './source-file.ts';

interface ImportOptions {
  readonly network: string;
  readonly format?: SourceFormat;
  readonly map?: ReadonlyMap<string, string>;
  readonly withoutNames?: boolean;
  readonly encoding?: string;
  readonly dryRun?: boolean;
  readonly failOnRejected?: boolean;
}

export function addImport(member: Command): void {
  member
    .command('import')
    .description('create and update members from CSV or JSON Lines, of any size')
    .argument('<file>', 'a .csv or .jsonl file, or .gz of one, or - for standard input')
    .addOption(networkOption())
    .addOption(new Option('--format <format>', 'where the name does not say it').choices(['csv', 'jsonl']))
    .addOption(new Option('--map <column=field>', MAP_HELP).argParser(mapping))
    .option('--without-names', 'accept members without a name; new ones are called "Member" and the end of their id')
    .addOption(new Option('--encoding <name>', 'such as windows-1252 or utf-16le (utf-8)').argParser(encoding))
    .option('--dry-run', 'report what the import would do, and change nothing')
    .option(
      '--fail-on-rejected',
      'end with exit code 1 where a line was rejected; the others are imported all the same',
    )
    .addHelpText('after', IMPORT_HELP)
    .action((file: string, options: ImportOptions, command: Command) =>
      inSession(command, (session) => importFile(session, file, options)),
    );
}

const MAP_HELP = 'which field a column is, or which custom field; "column=" leaves it out; repeat it for other columns';

/** Names of columns may hold `=`, those of fields hardly ever: the last one divides. */
function mapping(text: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const cut = text.lastIndexOf('=');
  const column = text.slice(0, cut).trim();
  const field = mappedName(text.slice(cut + 1).trim());
  if (cut < 0 || column === '') throw new InvalidArgumentError('It is a column and a field, such as "Mail=email".');
  if (before.has(column)) throw new InvalidArgumentError(`The column ${JSON.stringify(column)} is mapped twice.`);
  if (field !== '' && [...before.values()].includes(field)) {
    throw new InvalidArgumentError(`Two columns are mapped to ${field}.`);
  }
  return new Map([...before, [column, field]]);
}

function encoding(text: string): string {
  try {
    return encodingName(text);
  } catch {
    throw new InvalidArgumentError(
      'It is a name of the Encoding Standard: utf-8, utf-16le, utf-16be, windows-1252 (also iso-8859-1 and latin1), ' +
        'windows-1250, windows-1251, iso-8859-2, iso-8859-15, macintosh, koi8-r, shift_jis, euc-jp, gbk, gb18030, big5, ' +
        'euc-kr or another (https://encoding.spec.whatwg.org/#names-and-labels).',
    );
  }
}

const IMPORT_HELP = `
Columns of CSV, in any order, or keys of JSON Lines; in any case and style: createdAt is also created_at or Created At
  email         required; also Email Address, Mail
  name          required, or firstName and lastName, which make the name and are kept as custom fields
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
  any other     becomes a custom field of that name, and the report says so

A member is known by externalId, else by e-mail address without regard to case and to how its domain is spelled, so an
import can be repeated. What a line leaves out (in CSV: an empty cell) stays as it is; null in JSON Lines erases it. A line
that is at fault is rejected with its number and reason, and the import goes on; the exit code is 0 all the same, unless
--fail-on-rejected is given.

Examples:
  $ gatehouse member import --network acme --dry-run members.csv
  $ gatehouse member import --network acme --map "E-mail 1=email" --map "Notes=" --encoding windows-1252 contacts.csv
  $ gatehouse member import --network acme --json members.jsonl.gz | jq .rejected`;

const NOTHING_DONE: ImportReport = {
  created: 0,
  updated: 0,
  unchanged: 0,
  rejectedCount: 0,
  rejected: [],
  columns: { renamed: [], customFields: [], ignored: [] },
};

async function importFile(session: Session, file: string, options: ImportOptions): Promise<void> {
  const { database, output } = session;
  const { dryRun = false, failOnRejected = false } = options;
  const { id, slug } = await theNetwork(session, options.network);
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  // Once each: a second Ctrl-C ends the process at once, and what is committed is there.
  for (const signal of SIGNALS) process.once(signal, interrupt);
  const source = await open(file, options.format, interruption.signal);
  const progress = startProgress(source.bytes);
  let done = NOTHING_DONE;
  const onCommit = (report: ImportReport, sourceBytes: number): void => {
    done = report;
    progress.show(report, sourceBytes);
  };
  try {
    const input = { source: source.source, format: source.format, onCommit, ...readOptions(options), isDryRun: dryRun };
    done = accepted(await importMembers(database, COMMAND_LINE, id, input)).report;
  } catch (error) {
    throw interrupted(error, interruption.signal.aborted, done, dryRun);
  } finally {
    progress.end();
    source.close();
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
  const isFailure = failOnRejected && done.rejectedCount > 0;
  // A failure has its own document, which there is only one of.
  if (!(isFailure && output.json)) await output.answer(documentOf(done, dryRun), summary(done, slug, dryRun));
  if (isFailure) throw new Refused([rejectedProblem(done)], documentOf(done, dryRun));
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

function readOptions({ map = new Map(), withoutNames = false, encoding }: ImportOptions) {
  return { map, isNameOptional: withoutNames, encoding };
}

async function open(file: string, format: SourceFormat | undefined, signal: AbortSignal): Promise<SourceFile> {
  try {
    return await openSource(file, format, signal);
  } catch (error) {
    throw signal.aborted ? interrupted(error, true, NOTHING_DONE, false) : error;
  }
}

function rejectedProblem({ rejectedCount }: ImportReport): Problem {
  const lines = rejectedCount === 1 ? '1 line was' : `${rejectedCount.toLocaleString('en')} lines were`;
  return { code: 'INVALID', message: `${lines} rejected (--fail-on-rejected)`, field: ['file'] };
}

/** What was committed before is there: say what. */
function interrupted(error: unknown, byOperator: boolean, done: ImportReport, isDryRun: boolean): Refused {
  const stopped: Problem = { code: 'INTERRUPTED', message: 'The import was stopped.', field: [] };
  const problems = byOperator ? [stopped] : error instanceof Refused ? error.errors : [problemOf(error)];
  const isBegun = !isDryRun && done.created + done.updated + done.unchanged + done.rejectedCount > 0;
  const soFar = isBegun
    ? `Done before that, and kept: ${inWords(done)}. Run it again to finish.`
    : 'Nothing was imported.';
  const [first = stopped, ...rest] = problems;
  return new Refused([{ ...first, message: `${first.message}\n${soFar}` }, ...rest], documentOf(done, isDryRun));
}

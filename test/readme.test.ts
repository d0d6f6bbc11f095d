/** What the documents say: their examples run, print what is written under them, and their tables are the code's. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SETTINGS } from '../src/config.ts';
import { AUDIT_ACTIONS } from '../src/domain/audit.ts';
import { REFUSALS } from '../src/domain/errors.ts';
import { MEMBER_COLUMNS } from '../src/domain/member.ts';
import { planNumbers } from '../src/domain/plan.ts';
import { SCOPES } from '../src/domain/scope.ts';
import { TOKEN_LENGTH } from '../src/domain/token.ts';
import { USAGE_BUCKETS_MAX } from '../src/domain/usage.ts';
import { USER_ERROR_CODES } from '../src/domain/user-error.ts';
import { PAGE_DEFAULT, PAGE_MAX } from '../src/graphql/connection.ts';
import { type Clone, type Example, examplesIn, isHere, openClone, readDocument, tableIn } from './support/documents.ts';
import { ROOT } from './support/program.ts';
import { useGateway } from './support/suite.ts';

const FILES = [
  'README.md',
  'docs/calling.md',
  'docs/limits.md',
  'docs/command-line.md',
  'docs/keys.md',
  'docs/operating.md',
  'docs/record.md',
] as const;
const documents = Object.fromEntries(
  await Promise.all([...FILES, 'src/README.md'].map(async (file) => [file, await readDocument(file)] as const)),
) as Record<(typeof FILES)[number] | 'src/README.md', string>;

const suite = useGateway();
/** Some twenty commands, each a process with a database to open. */
const HOOK_TIMEOUT_MS = 240_000;

interface Interpreter {
  readonly language: string;
  readonly command: string;
  readonly extension: string;
}

const INTERPRETERS: readonly Interpreter[] = [
  { language: 'js', command: process.execPath, extension: 'mjs' },
  { language: 'python', command: 'python3', extension: 'py' },
  { language: 'ruby', command: 'ruby', extension: 'rb' },
];

/** In CI an interpreter that is missing is a failure; elsewhere its programs are left out, and that is said. */
const isLeftOut = ({ command }: Interpreter) => !isHere(command) && process.env['CI'] === undefined;

/** One for all documents: whoever reads them one after the other runs their examples so. */
let clone: Clone;
beforeAll(async () => {
  clone = await openClone();
}, HOOK_TIMEOUT_MS);
afterAll(() => clone.close());

describe.each(FILES)('%s', (file) => {
  const examples = examplesIn(documents[file]);
  const shell = examples.filter(({ language, mark }) => language === 'sh' && !mark.startsWith('not run'));
  let printed: string[];
  beforeAll(async () => {
    printed = await clone.runShell(shell);
  }, HOOK_TIMEOUT_MS);

  test('its shell examples run, one after the other', () => {
    expect(printed).toHaveLength(shell.length);
  });

  test.each(answers(examples, shell))(
    'the example of line $of.line prints what is written under it',
    ({ of, answer }) => {
      expect(squeeze(printed[shell.indexOf(of)] ?? '')).toMatch(pattern(answer.text));
    },
  );

  test.each(examples.filter(({ mark }) => mark === 'printed by npm start'))(
    '`npm start` prints line $line',
    ({ text }) => {
      expect(squeeze(clone.output.stdout.replaceAll(`:${clone.port}`, ':4000'))).toMatch(pattern(text));
    },
  );

  test.for(INTERPRETERS.filter(({ language }) => examples.some((example) => example.language === language)))(
    'its $language programs run and find the demo members',
    async (interpreter, { skip }) => {
      const { language, command, extension } = interpreter;
      skip(isLeftOut(interpreter), `no ${command} here, so the ${language} examples are not run`);
      for (const [at, { text }] of examples.filter((example) => example.language === language).entries()) {
        const { code, stdout, stderr } = await clone.run(command, [await clone.write(`p${at}.${extension}`, text)]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        expect(stdout).toMatch(file === 'README.md' ? /^(mem_\w{26} .+\n){2}$/ : /^1000 members\n$/);
      }
    },
  );
});

/** The shell examples that have what they print under them. */
function answers(examples: readonly Example[], shell: readonly Example[]) {
  return examples.flatMap((answer, at) => {
    const of = examples[at - 1];
    return answer.follows && answer.language === 'json' && of !== undefined && shell.includes(of)
      ? [{ of, answer }]
      : [];
  });
}

/** Without blanks: documents break lines where programs do not. */
function squeeze(text: string): string {
  return text.replaceAll(/\s/g, '');
}

/** `…` stands for what differs from run to run: an id, a token, a name; `{…}` for an object that is shown elsewhere. */
function pattern(text: string): RegExp {
  const parts = squeeze(text).split('…');
  const exact = parts.map((part) => part.replaceAll(SPECIAL, String.raw`\$&`)).join('[^"]*?');
  return new RegExp(exact.replaceAll(String.raw`\{[^"]*?\}`, String.raw`\{.*\}`));
}

const SPECIAL = /[\\^$.*+?()[\]{}|]/g;

describe('what the documents say of the code', () => {
  const code = (text: string) => `\`${text}\``;

  test('the scopes, and what each grants', () => {
    const wanted = Object.entries(SCOPES).map(([key, { name, grants }]) => [code(name), code(key), grants]);
    expect(tableIn(documents['docs/calling.md'], ['scope', 'in GraphQL', 'what it grants'])).toEqual(wanted);
  });

  test('the codes of refusals, each with its HTTP status', () => {
    const rows = tableIn(documents['README.md'], ['code', 'HTTP', 'when']);
    const found = rows.map(([name = '', status = '']) => [name, Number.parseInt(status, 10)]);
    const wanted = Object.entries(REFUSALS).map(([name, status]) => [code(name), status]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted));
  });

  test('the codes of userErrors', () => {
    const wanted = Object.entries(USER_ERROR_CODES).map(([name, description]) => [code(name), description]);
    expect(tableIn(documents['docs/calling.md'], ['code', 'when'])).toEqual(wanted);
  });

  test('the columns of an import', () => {
    const rows = tableIn(documents['docs/command-line.md'], ['column', 'what']);
    expect(rows.map(([name]) => name)).toEqual(MEMBER_COLUMNS.map(code));
  });

  test('the actions of the audit trail', () => {
    const wanted = Object.entries(AUDIT_ACTIONS).map(([action, words]) => [code(action), words]);
    expect(tableIn(documents['docs/record.md'], ['action', 'when'])).toEqual(wanted);
  });

  test('how long the record is kept', () => {
    const text = documents['docs/record.md'];
    for (const [name, setting] of Object.entries(SETTINGS).filter(([name]) => name.endsWith('_RETENTION_DAYS'))) {
      expect(text).toContain(`${code(name)} (${setting.parse(undefined)})`);
    }
    expect(SETTINGS.USAGE_FLUSH_INTERVAL_MS.parse(undefined)).toBe(5_000);
    expect(text).toContain(`a range has at most ${USAGE_BUCKETS_MAX.toLocaleString('en')}`);
  });

  test('the numbers of the plans', () => {
    const none = { requestsPerMinute: null, networkRequestsPerMinute: null, costPerMinute: null };
    const heading = ['plan', 'requests a minute, a key', 'requests a minute, all keys', 'cost points a minute, a key'];
    const wanted = (['STANDARD', 'PREMIUM'] as const).map((plan) => {
      const { requestsPerMinute, networkRequestsPerMinute, costPerMinute } = planNumbers(plan, none);
      const numbers = [requestsPerMinute, networkRequestsPerMinute, costPerMinute];
      return [plan, ...numbers.map((number) => number.toLocaleString('en'))];
    });
    expect(tableIn(documents['docs/command-line.md'], heading).slice(0, 2)).toEqual(wanted);
  });

  test('the bounds of a query and their defaults', () => {
    const rows = tableIn(documents['docs/limits.md'], ['setting', 'default', 'what it bounds']);
    const wanted = Object.entries(SETTINGS).filter(([name]) =>
      /^(QUERY_MAX_.*|ANSWER_MAX_BYTES|REQUEST_TIMEOUT_MS)$/.test(name),
    );
    expect(Object.fromEntries(rows.map(([name, value]) => [name, value]))).toEqual(
      Object.fromEntries(wanted.map(([name, setting]) => [code(name), String(setting.parse(undefined))])),
    );
  });

  test('the windows of the plans', () => {
    const rows = tableIn(documents['docs/limits.md'], ['name', 'whose', 'STANDARD', 'PREMIUM', 'what is counted']);
    const none = { requestsPerMinute: null, networkRequestsPerMinute: null, costPerMinute: null };
    const [standard, premium] = [planNumbers('STANDARD', none), planNumbers('PREMIUM', none)];
    const wanted = (['requestsPerMinute', 'networkRequestsPerMinute', 'costPerMinute'] as const).map((number) => [
      standard[number].toLocaleString('en'),
      premium[number].toLocaleString('en'),
    ]);
    expect(rows.map(([, , ...numbers]) => numbers.slice(0, 2))).toEqual(wanted);
  });

  test('the settings of the README and their defaults', () => {
    for (const [name = '', value = ''] of tableIn(documents['README.md'], ['setting', 'default', 'what'])) {
      const setting = Object.entries(SETTINGS).find(([key]) => code(key) === name)?.[1];
      const fallback = setting?.parse(undefined);
      expect([name, fallback === undefined || Array.isArray(fallback) ? '' : code(String(fallback))]).toEqual([
        name,
        value,
      ]);
    }
  });

  test('the bounds', () => {
    const text = documents['docs/calling.md'].replaceAll('\n', ' ');
    const fallback = (name: keyof typeof SETTINGS) => Number(SETTINGS[name].parse(undefined)).toLocaleString('en');
    expect(text).toContain(`A page has 1 to ${PAGE_MAX} items, ${PAGE_DEFAULT} where neither is given`);
    expect(text).toContain(`It has ${TOKEN_LENGTH} characters`);
    expect(text).toContain(
      `A query may have ${fallback('QUERY_MAX_TOKENS')} tokens, be ${fallback('QUERY_MAX_DEPTH')} levels deep and use ` +
        `${fallback('QUERY_MAX_ALIASES')} aliases`,
    );
    expect(SETTINGS.BODY_LIMIT_BYTES.parse(undefined)).toBe(1_048_576);
    expect(SETTINGS.SHUTDOWN_TIMEOUT_MS.parse(undefined)).toBe(10_000);
  });

  test.each(['network', 'admin', 'member', 'key', 'audit'])('every verb of `gatehouse %s`', (noun) => {
    const help = execFileSync(process.execPath, [join(ROOT, 'src/cli/main.ts'), noun, '--help'], { encoding: 'utf8' });
    const verbs = [...help.matchAll(/^ {2}(\w+) .*$/gm)].map(([, verb]) => verb).filter((verb) => verb !== 'help');
    expect(verbs.length).toBeGreaterThan(0);
    for (const verb of verbs) expect(documents['docs/command-line.md']).toContain(`gatehouse ${noun} ${verb}`);
  });

  test('the fields of the access log', async () => {
    const [example] = examplesIn(documents['docs/operating.md']).filter(({ text }) =>
      text.includes('"msg": "request"'),
    );
    await fetch(`${suite.url}/healthz`);
    const line = () => suite.gateway.log.find(({ msg }) => msg === 'request');
    await expect.poll(line).toBeDefined();
    expect(Object.keys(line() ?? {})).toEqual(Object.keys(JSON.parse(example?.text ?? '{}')));
  });

  test('where their links lead', () => {
    const dead = Object.entries(documents).flatMap(([file, text]) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, link = '']) => link)
        .filter((link) => !link.startsWith('http') && !leadsSomewhere(file, link))
        .map((link) => `${file}: ${link}`),
    );
    expect(dead).toEqual([]);
  });
});

function leadsSomewhere(from: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const file = path === '' ? from : normalize(join(dirname(from), path));
  if (!existsSync(join(ROOT, file))) return false;
  if (anchor === undefined) return true;
  const text = Object.entries(documents).find(([name]) => name === file)?.[1] ?? '';
  return [...text.matchAll(/^#+ (.*)$/gm)].some(([, title = '']) => anchorOf(title) === anchor);
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} -]/gu, '')
    .replaceAll(' ', '-');
}

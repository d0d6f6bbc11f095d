/**
 * What no line that is kept or shown may hold, whoever put it there: tokens, digests and e-mail addresses, as they are or in
 * an encoding (domain/encodings.ts), or in one inside of another.
 */
import {
  decodings,
  encodedRuns,
  inPlainCharacters,
  type View,
  withoutEscapes,
  withoutFolds,
  withoutQuotedPrintable,
  withoutSpelling,
} from './encodings.ts';
import { TOKEN_PATTERN } from './token.ts';

/**
 * E-mail addresses as domain/member.ts takes them, in a line of JSON. A dot-less domain counts where no path stands
 * before the @: a stack trace names node_modules/@prisma/client. Each run of characters is tried from its start alone,
 * so that a long one takes no longer than it must.
 */
const INVISIBLE = String.raw`\s\p{Cc}[\p{Cf}--[\u200c\u200d]]`;
const LOCAL = String.raw`[^${INVISIBLE}\(\)<>\[\]\\,;:@"]`;
const LOCAL_WITHOUT_SLASH = String.raw`[^${INVISIBLE}\(\)<>\[\]\\,;:@"\/]`;
/** In JSON its quotes are escaped, and so is what they escape. */
const QUOTED_LOCAL = String.raw`\\"(?:[^"\\]|\\[^u]){1,256}?\\"`;
/** In a text that was decoded they are not. */
const BARE_QUOTED_LOCAL = String.raw`"(?:[^"\\]|\\.){1,256}?"`;
const LABEL = String.raw`(?:[A-Za-z0-9_\-]|[^${INVISIBLE}\u0000-\u007f])+`;
const DOTTED = String.raw`${LABEL}(?:\.${LABEL})+`;
const LITERAL = String.raw`\[[0-9A-Za-z.:]+\]`;
const WITH_DOMAIN = `(?<!${LOCAL})${LOCAL}+@(?:${DOTTED}|${LITERAL})`;
const WITHOUT_DOTS = `(?<!${LOCAL_WITHOUT_SLASH})${LOCAL_WITHOUT_SLASH}+@${LABEL}`;
const QUOTED_DOMAIN = String.raw`@(?:${LABEL}(?:\.${LABEL})*|${LITERAL})`;
const EMAIL_PATTERN = new RegExp([WITH_DOMAIN, WITHOUT_DOTS, QUOTED_LOCAL + QUOTED_DOMAIN].join('|'), 'gv');
/** In a guess: what a domain with dots follows. */
const GUESSED_EMAIL_PATTERN = new RegExp(WITH_DOMAIN, 'gv');
const DECODED_EMAIL_PATTERN = new RegExp(
  [WITH_DOMAIN, WITHOUT_DOTS, BARE_QUOTED_LOCAL + QUOTED_DOMAIN].join('|'),
  'gv',
);
/** A SHA-256 as PostgreSQL writes it. */
const DIGEST_PATTERN = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/gi;
/** And in base64: 43 characters, and where it is filled up, a sign. One in 8,000 is letters alone, as mixed as chance makes it. */
const BASE64_DIGEST = /^(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9+_-]|(?:[^A-Z]*[A-Z]){12})[A-Za-z0-9+_/-]{43}=?$/;
/** A path of 43 characters is no digest: one that has slashes is as mixed as chance makes it. */
const MIXED = /^(?=(?:[^A-Z]*[A-Z]){4})(?=(?:[^a-z]*[a-z]){4})(?=.*[0-9]|(?:[^A-Z]*[A-Z]){12})/;

const REDACTED = '[redacted]';
const REDACTED_TOKEN = 'gk_[redacted]';

interface Range {
  readonly start: number;
  readonly end: number;
  readonly isToken: boolean;
}

/**
 * How a text came about. `given`: as it was handed over, maybe in JSON. `guessed`: read as an encoding that it need not be
 * in, so that less counts as an address. `joined`: lines that may not belong together, so that no address is found across
 * them. `decoded`: it was base64 or hexadecimal, and is text.
 */
type Kind = 'given' | 'guessed' | 'joined' | 'decoded';

/** Encodings inside of each other: two of a client's, the characters of each, and a line of JSON around them. */
const DEPTH_MAX = 6;
/** How many characters may be looked at for each one of a line; past that, what may be encoded is taken for a secret. */
const WORK_FACTOR_MAX = 64;
const WORK_MIN_CHARACTERS = 4_096;

/** Characters that may still be looked at. */
interface Work {
  left: number;
}

/** A line without tokens, digests and addresses. A line of JSON stays one. */
export function redactLine(line: string): string {
  if (line.length > SHAPE_MAX_CHARACTERS) return redactCounting(line).text;
  const shape = line.replaceAll(VARYING, VARIES);
  if (harmless.has(shape)) return line;
  const { text } = redactCounting(line);
  if (text === line) keep(harmless, shape, SHAPES_MAX, true);
  return text;
}

/** What differs from one line of the access log to the next, is the gateway's own, and can hold no secret. */
const VARYING =
  /"requestId":"req_[0-9a-f]{32}"|"(?:networkId|keyId)":"(?:net|key)_[0-7][0-9a-hjkmnp-tv-z]{25}"|"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"|"ms":\d+(?:\.\d+)?/g;
/** In the place of each, so that what stood apart stays apart. */
const VARIES = '""';
const SHAPES_MAX = 1_000;
const SHAPE_MAX_CHARACTERS = 2_048;
/** Lines that held nothing, but for what varies. */
const harmless = new Map<string, true>();

/** Lets go of the oldest where there are too many. */
function keep<Value>(map: Map<string, Value>, key: string, max: number, value: Value): void {
  const [oldest] = map.keys();
  if (map.size >= max && oldest !== undefined) map.delete(oldest);
  map.set(key, value);
}

/** Whether a text holds what looks like a token, as it is or encoded. */
export function holdsToken(text: string): boolean {
  const work: Work = { left: Math.max(WORK_MIN_CHARACTERS, text.length * WORK_FACTOR_MAX) };
  return secretsIn(text, 'given', DEPTH_MAX, work).some(({ isToken }) => isToken);
}

/** The same, with the characters that it looked at: at most WORK_FACTOR_MAX for each of the line's, and a few. */
export function redactCounting(line: string): { readonly text: string; readonly looked: number } {
  const budget = Math.max(WORK_MIN_CHARACTERS, line.length * WORK_FACTOR_MAX);
  const work: Work = { left: budget };
  const ranges = secretsIn(withoutJsonEscapes(line), 'given', DEPTH_MAX, work);
  return { text: replaced(line, ranges), looked: budget - work.left };
}

/** Of JSON: line breaks and tabs as such, so that no address begins with their letter. As long as it was. */
function withoutJsonEscapes(line: string): string {
  if (!line.includes('\\')) return line;
  return line.replaceAll(/\\\\|\\[nrtbf]/g, (found) => JSON_BLANKS[found] ?? found);
}

const JSON_BLANKS: Readonly<Record<string, string>> = {
  '\\n': '\n ',
  '\\r': '\r ',
  '\\t': '\t ',
  '\\b': '  ',
  '\\f': '  ',
};

function replaced(line: string, ranges: readonly Range[]): string {
  let text = '';
  let at = 0;
  for (const { start, end, isToken } of ranges.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    if (start >= at) text += line.slice(at, start) + (isToken ? REDACTED_TOKEN : REDACTED);
    at = Math.max(at, end);
  }
  return text + line.slice(at);
}

function secretsIn(text: string, kind: Kind, depth: number, work: Work): Range[] {
  work.left -= text.length;
  const found = plainSecrets(text, kind);
  if (depth === 0 || work.left < 0) return found;
  const unescaped = inPlainCharacters(text) ?? withoutEscapes(text);
  // What is read as escapes is looked at for all else, too.
  if (unescaped !== null) return [...found, ...secretsBehind(unescaped, kind, depth - 1, work)];
  for (const view of [withoutQuotedPrintable(text), withoutSpelling(text)]) {
    if (view !== null) found.push(...secretsBehind(view, 'guessed', depth - 1, work));
  }
  const joined = withoutFolds(text);
  if (joined !== null) found.push(...secretsBehind(joined, 'joined', depth - 1, work));
  for (const run of encodedRuns(text)) {
    const secret = secretOf(run.text, depth - 1, work);
    if (secret !== null) found.push({ start: run.start, end: run.end, isToken: secret === 'token' });
  }
  return found;
}

function plainSecrets(text: string, kind: Kind): Range[] {
  const found = [...rangesOf(text, TOKEN_PATTERN, true), ...rangesOf(text, DIGEST_PATTERN)];
  // Most lines, and every line of the access log, can do without the dearest of the three.
  if (kind === 'joined' || !text.includes('@')) return found;
  return [...found, ...rangesOf(text, EMAILS[kind])];
}

const EMAILS: Readonly<Record<Exclude<Kind, 'joined'>, RegExp>> = {
  given: EMAIL_PATTERN,
  guessed: GUESSED_EMAIL_PATTERN,
  decoded: DECODED_EMAIL_PATTERN,
};

function rangesOf(text: string, pattern: RegExp, isToken = false): Range[] {
  return [...text.matchAll(pattern)].map(({ 0: found, index }) => ({
    start: index,
    end: index + found.length,
    isToken,
  }));
}

function secretsBehind(view: View, kind: Kind, depth: number, work: Work): Range[] {
  return secretsIn(view.text, kind, depth, work).map(({ start, end, isToken }) => ({
    start: view.starts[start] ?? 0,
    end: view.ends[end - 1] ?? 0,
    isToken,
  }));
}

/** Of bytes that are no text in other places, a shorter part with an @ in it is chance. */
const DECODED_MIN_CHARACTERS = 12;

/** Words of log lines and browsers' names come again and again: what holds nothing, by how deep that was looked. */
const KNOWN_MAX = 2_000;
const KNOWN_MAX_CHARACTERS = 64;
const known = new Map<string, number>();

/** What a run holds that may be encoded; null where that is nothing. */
function secretOf(run: string, depth: number, work: Work): 'token' | 'other' | null {
  if (isDigest(run)) return 'other';
  if ((known.get(run) ?? -1) >= depth) return null;
  if (work.left < 0) return 'other';
  let holdsOther = false;
  for (const { text, isWhole } of decodings(run)) {
    work.left -= run.length;
    const kind = isWhole || text.length >= DECODED_MIN_CHARACTERS ? 'decoded' : 'guessed';
    const found = secretsIn(text, kind, depth, work);
    if (found.some(({ isToken }) => isToken)) return 'token';
    holdsOther ||= found.length > 0;
  }
  if (holdsOther || work.left < 0) return 'other';
  remember(run, depth);
  return null;
}

function isDigest(run: string): boolean {
  if (run.length !== 43 && run.length !== 44) return false;
  return BASE64_DIGEST.test(run) && (run.endsWith('=') || !run.includes('/') || MIXED.test(run));
}

function remember(run: string, depth: number): void {
  if (run.length <= KNOWN_MAX_CHARACTERS) keep(known, run, KNOWN_MAX, depth);
}

const USER_AGENT_MAX_CHARACTERS = 256;
/** What is looked at of one: room for what is redacted, and no more work than that. */
const USER_AGENT_READ_MAX_CHARACTERS = 1_024;

/** What a caller's program calls itself, as it is kept. The header is the caller's to choose: it may hold anything. */
export function shownUserAgent(header: string | null | undefined): string | null {
  if (header == null) return null;
  const given = header.slice(0, USER_AGENT_READ_MAX_CHARACTERS);
  const before = userAgents.get(given);
  if (before !== undefined) return before;
  const read = readHeader(given);
  const clean = redactLine(read);
  const shown = clean.slice(0, USER_AGENT_MAX_CHARACTERS);
  if (clean === read) keep(userAgents, given, USER_AGENTS_MAX, shown);
  return shown;
}

const USER_AGENTS_MAX = 500;
/** Of those that held nothing, how they are shown. */
const userAgents = new Map<string, string>();

/** Some clients encode a header that was UTF-8 once more. */
const UTF8_TIMES_MAX = 2;

/** Node reads each byte of a header as a character (Latin 1); what was UTF-8 becomes that again. */
function readHeader(header: string): string {
  let read = header;
  for (let times = 0; times < UTF8_TIMES_MAX; times += 1) {
    const isBytes = /[\u0080-\u00ff]/.test(read) && !/[\u0100-\uffff]/.test(read);
    const again = isBytes ? Buffer.from(read, 'latin1').toString('utf8') : read;
    if (again.includes('\ufffd')) break;
    read = again;
  }
  return read;
}

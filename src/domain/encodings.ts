/**
 * Encodings that a client may have put a text into, read back so that redaction sees through them: escapes (percent, HTML,
 * JavaScript, quoted-printable), characters that only look different or cannot be seen, and base64 and hexadecimal.
 */

/** A text read from another one: each of its characters knows where it stands there. */
export interface View {
  readonly text: string;
  /** Of each character, where its source begins and ends. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Reads a text with everything that a pattern finds replaced; null where it finds nothing. */
function viewOf(text: string, pattern: RegExp, read: (found: string) => string): View | null {
  const starts: number[] = [];
  const ends: number[] = [];
  let seen = '';
  let at = 0;
  const copy = (to: number) => {
    seen += text.slice(at, to);
    for (; at < to; at += 1) {
      starts.push(at);
      ends.push(at + 1);
    }
  };
  for (const { 0: found, index } of text.matchAll(pattern)) {
    copy(index);
    seen += read(found);
    at = index + found.length;
    while (starts.length < seen.length) {
      starts.push(index);
      ends.push(at);
    }
  }
  if (at === 0) return null;
  copy(text.length);
  return seen === text ? null : { text: seen, starts, ends };
}

const UNSEEN = String.raw`[\0\p{Cf}\u034f\u115f\u1160\u3164\uffa0\ufe00-\ufe0f]`;
/** By name: what an address or token is made of, and what escapes are. */
const NAMED: Readonly<Record<string, string>> = {
  commat: '@',
  period: '.',
  lowbar: '_',
  UnderBar: '_',
  hyphen: '-',
  dash: '-',
  plus: '+',
  sol: '/',
  colon: ':',
  equals: '=',
  percnt: '%',
  bsol: '\\',
  num: '#',
  amp: '&',
  shy: '',
  zwj: '',
  zwnj: '',
};
const ESCAPES = new RegExp(
  [
    '(?:%[0-9a-fA-F]{2})+',
    '%u[0-9a-fA-F]{4}',
    String.raw`(?:\\+u[0-9a-fA-F]{4})+`,
    String.raw`\\+u\{[0-9a-fA-F]{1,6}\}`,
    String.raw`(?:\\+x[0-9a-fA-F]{2})+`,
    String.raw`\\+[01][0-7]{2}`,
    '&#[xX][0-9a-fA-F]{1,6};?',
    '&#[0-9]{1,7};?',
    `&(?:${Object.keys(NAMED).join('|')});`,
  ].join('|'),
  'g',
);
/** What each of them begins with: most lines have none. */
const MAY_ESCAPE = /[%&\\]/;

/** With escapes read. */
export function withoutEscapes(text: string): View | null {
  return MAY_ESCAPE.test(text) ? viewOf(text, ESCAPES, readEscape) : null;
}

const OTHER_CHARACTERS = /[\0\P{ASCII}]/gu;
const IS_UNSEEN = new RegExp(`^${UNSEEN}$`, 'u');
/** The full stop of Chinese and Japanese, which separates labels of a domain as well (UTS 46). */
const IDEOGRAPHIC_STOPS = /[\u3002\uff61]/g;

/**
 * With compatible forms of characters (NFKC) as their plain ones, and what cannot be seen left out. To be read before
 * escapes, in the middle of which either may stand.
 */
export function inPlainCharacters(text: string): View | null {
  return text.search(OTHER_CHARACTERS) < 0 ? null : viewOf(text, OTHER_CHARACTERS, plain);
}

function plain(found: string): string {
  return IS_UNSEEN.test(found) ? '' : found.normalize('NFKC').replaceAll(IDEOGRAPHIC_STOPS, '.');
}

function readEscape(found: string): string {
  const [digits = ''] = /[0-9a-fA-F]+(?=[;}]?$)/.exec(found) ?? [];
  if (found.startsWith('%u')) return character(Number.parseInt(digits, 16));
  if (found.startsWith('%')) return ofBytes(found.replaceAll('%', ''));
  if (found.startsWith('&#')) return character(Number.parseInt(digits, /^&#x/i.test(found) ? 16 : 10));
  if (found.startsWith('&')) return NAMED[found.slice(1, -1)] ?? found;
  if (found.endsWith('}')) return character(Number.parseInt(digits, 16));
  const [, kind] = /^\\+([ux]?)/.exec(found) ?? [];
  if (kind === 'x') return ofBytes(found.replaceAll(/\\+x/g, ''));
  if (kind === 'u') {
    const units = found.split(/\\+u/).slice(1);
    return String.fromCharCode(...units.map((unit) => Number.parseInt(unit, 16)));
  }
  return String.fromCharCode(Number.parseInt(digits, 8));
}

function character(code: number): string {
  return code <= 0x10ffff ? String.fromCodePoint(code) : '';
}

/** Bytes, written in hexadecimal, as UTF-8. What is none becomes U+FFFD. */
function ofBytes(hex: string): string {
  return Buffer.from(hex, 'hex').toString('utf8');
}

/** With quoted-printable read (RFC 2045, 6.7). `a=40` may mean something else: what is found so is a guess. */
export function withoutQuotedPrintable(text: string): View | null {
  if (!text.includes('=')) return null;
  return viewOf(text, /(?:=[0-9a-fA-F]{2})+|=[ \t]*\r?\n/g, (found) =>
    found.includes('\n') ? '' : ofBytes(found.replaceAll('=', '')),
  );
}

/** With lines joined, and the blanks at which they were folded left out. */
export function withoutFolds(text: string): View | null {
  return text.includes('\n') ? viewOf(text, /[ \t\r]*\n\s*/g, () => '') : null;
}

/** With `(at)` and `[dot]` read, as people write addresses that are to be typed. */
export function withoutSpelling(text: string): View | null {
  return viewOf(text, / ?[([{] ?(?:at|dot) ?[)\]}] ?/gi, (found) => (/at/i.test(found) ? '@' : '.'));
}

/** A part of a text that may be base64 or hexadecimal. */
export interface Run {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const BASE64_MIN_CHARACTERS = 8;
const RUNS = new RegExp(`[A-Za-z0-9+/_-]{${BASE64_MIN_CHARACTERS},}={0,2}`, 'g');
/** Ids of our own: they stand in every line, and hold nothing. */
const OWN_ID = /^(?:req_[0-9a-f]{32}|(?:net|mem|key|adm|evt)_[0-7][0-9a-hjkmnp-tv-z]{25})$/;

export function encodedRuns(text: string): Run[] {
  return [...text.matchAll(RUNS)]
    .filter(({ 0: run }) => run.charAt(3) !== '_' || !OWN_ID.test(run))
    .map(({ 0: run, index }) => ({ text: run, start: index, end: index + run.length }));
}

const HEX_MIN_DIGITS = 10;
const HEX = new RegExp(`[0-9a-fA-F]{${HEX_MIN_DIGITS},}`, 'g');
/** What decodes to fewer characters than `a@b.c` has. */
const TEXT_MIN_CHARACTERS = 5;

/**
 * The texts that a run may stand for: as base64 from each of the four places at which a group may begin, and as hexadecimal
 * from each of two. Bytes that are no text part them.
 */
export function* decodings(run: string): Generator<{ readonly text: string; readonly isWhole: boolean }> {
  for (let from = 0; from < 4; from += 1) yield* textsIn(Buffer.from(run.slice(from), 'base64'));
  for (const { 0: digits } of run.matchAll(HEX)) {
    for (let from = 0; from < 2; from += 1) yield* textsIn(Buffer.from(digits.slice(from), 'hex'));
  }
}

/** Zero bytes stay: text in UTF-16 has them. */
const NO_TEXT = /[[\p{Cc}\ufffd]--[\0\t\r\n]]+/v;

function* textsIn(bytes: Buffer): Generator<{ readonly text: string; readonly isWhole: boolean }> {
  const texts = bytes.toString('utf8').split(NO_TEXT);
  for (const text of texts) {
    if (text.length >= TEXT_MIN_CHARACTERS) yield { text, isWhole: texts.length === 1 };
  }
  // UTF-16: of whatever script, its full stops and signs have a byte of zeros, or of ones where they are full-width.
  if (!bytes.includes(0) && !bytes.includes(0xff)) return;
  const pairs = bytes.subarray(0, bytes.length - (bytes.length % 2));
  for (const text of [pairs.toString('utf16le'), Buffer.from(pairs).swap16().toString('utf16le')]) {
    if (text.length >= TEXT_MIN_CHARACTERS) yield { text, isWhole: false };
  }
}

/**
 * Which mailbox an e-mail address names. A domain has many spellings (`bücher.example`, `xn--bcher-kva.example`, full stops
 * of other scripts, characters that nobody sees); its identity is its ASCII form by UTS 46, non-transitional, as browsers
 * and mail servers work it out. The local part is folded.
 *
 * The function is Node's, and it is made for URLs: it decodes `%`, drops tabs and line breaks, ends a host at `/` or `:`, and
 * rewrites a last label that reads as a number into an IPv4 address. So whatever it would rewrite is refused first. It also
 * passes ASCII on unread, valid Punycode or not, so what it returns is decoded and encoded again.
 *
 * Source: https://www.unicode.org/reports/tr46/ and https://url.spec.whatwg.org/#idna
 */
import { domainToASCII, domainToUnicode } from 'node:url';
import { fold } from './text.ts';

/** ASCII that stands in no domain. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const REWRITTEN = /[[\u0000-\u007f]--[A-Za-z0-9._\-]]/v;
const ASCII_DOMAIN = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
const LAST_LABEL_IS_NUMBER = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$/i;
const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/gv;
const FULL_STOPS = /[\u3002\uff0e\uff61]/g;
/** PostgreSQL indexes no more than 2,704 bytes, of which the network takes some. */
const IDENTITY_MAX_BYTES = 2_048;

/** What an address is stored and looked up by. */
export interface EmailIdentity {
  readonly folded: string;
  /** Null: it is the folded address itself, and nothing is to be stored. */
  readonly identity: string | null;
  /**
   * The keys under which the mailbox may be stored (`keysOf`), its own spelling first. Rows of the previous release have no
   * identity until it is filled in, so they are found by the usual spellings of their domain.
   */
  readonly lookups: readonly string[];
}

/** `email`: as it was given. An address without a valid domain is known by its folded text alone. */
export function emailIdentity(email: string): EmailIdentity {
  const folded = fold(email);
  if (!mayDiffer(folded)) return { folded, identity: null, lookups: [folded] };
  const at = email.lastIndexOf('@');
  const ascii = asciiDomain(visibleDomain(email.slice(at + 1)));
  const local = fold(email.slice(0, at));
  const identity = `${local}@${ascii}`;
  if (ascii === null || Buffer.byteLength(identity) > IDENTITY_MAX_BYTES) {
    return { folded, identity: folded, lookups: keysOf(folded, folded) };
  }
  const spellings = [identity, `${local}@${fold(domainToUnicode(ascii))}`].filter(mayDiffer).map(ownKey);
  return { folded, identity, lookups: [...new Set([ownKey(folded), identity, ...spellings])] };
}

/** The mailbox that an address names: one text for all spellings of its domain. */
export function mailboxOf(email: string): string {
  const { folded, identity } = emailIdentity(email);
  return identity ?? folded;
}

/**
 * The keys of a stored address; each is one member's in a network. `identity`: null where it is the folded address, or has
 * not been worked out.
 */
export function keysOf(folded: string, identity: string | null): readonly string[] {
  if (!mayDiffer(folded)) return [folded];
  return identity === null ? [ownKey(folded)] : [ownKey(folded), identity];
}

/** An address as it is spelled, apart from all identities: none begins with a blank. */
function ownKey(folded: string): string {
  return ` ${folded}`;
}

/** Whether an identity can be another text than the folded address. SQL asks the same: database/email-identity.ts. */
function mayDiffer(folded: string): boolean {
  return folded.includes('xn--') || Buffer.byteLength(folded) !== folded.length;
}

/**
 * The ASCII form of a domain; null where it has none, or where the function would return that of another domain. Both small
 * sigmas are one letter, as everywhere in Gatehouse (`fold`).
 */
export function asciiDomain(domain: string): string | null {
  if (REWRITTEN.test(domain) || endsInNumber(domain)) return null;
  if (domainToASCII(domain) === '') return null;
  // Node leaves some letters uncomposed whose marks come in another order (ü with U+0323), so they are composed before.
  const ascii = domainToASCII(domain.normalize('NFKC'));
  if (!ASCII_DOMAIN.test(ascii) || endsInNumber(ascii)) return null;
  if (!ascii.includes('xn--')) return ascii;
  const decoded = domainToUnicode(ascii);
  const isDecoded = decoded.split('.').every((label) => !label.startsWith('xn--'));
  if (!isDecoded || domainToASCII(decoded) !== ascii) return null;
  return decoded.includes('ς') ? domainToASCII(decoded.replaceAll('ς', 'σ')) : ascii;
}

/** Whether the last label reads as a number, in digits of any script that Unicode takes for ASCII's: URLs make it an address. */
export function endsInNumber(domain: string): boolean {
  return LAST_LABEL_IS_NUMBER.test(domain.normalize('NFKC'));
}

/**
 * A domain as it is kept: without the characters that UTS 46 ignores, and with ASCII's full stop for those of other scripts.
 * Everything else stays as it was given.
 */
export function visibleDomain(domain: string): string {
  return domain
    .replaceAll(INVISIBLE, (character) => (isIgnored(character) ? '' : character))
    .replaceAll(FULL_STOPS, '.');
}

/** Whether the function takes a character for none. It does not take joiners so, which some scripts need. */
function isIgnored(character: string): boolean {
  return domainToASCII(`ü${character}ü`) === domainToASCII('üü');
}

/**
 * The rules of a member's fields, for every way in. A record is pairs of a field's name and its value: text from a cell
 * of CSV, a JSON value from JSON Lines. What is no field of a member is a custom field.
 *
 * What a record leaves out, it leaves alone: a member that exists keeps the field, a new one gets its default. A record
 * erases only by JSON's null or "", and only what a member can lack (externalId, avatarUrl, location, tags,
 * timeZone, permalink, lastActiveAt; a custom field by null alone); for role, status and createdAt they say no more than absence. CSV cannot erase: its readers take
 * an empty cell for an absent one.
 */
import { asciiDomain, emailIdentity, endsInNumber, visibleDomain } from './email-identity.ts';
import { characters, fold, hasControlCharacters, isWellFormed } from './text.ts';
import { parseTimeZone } from './time-zone.ts';

export const MEMBER_ROLES = ['OWNER', 'ADMIN', 'MODERATOR', 'MEMBER'] as const;
export type MemberRole = (typeof MEMBER_ROLES)[number];
export const MEMBER_STATUSES = ['ACTIVE', 'INVITED', 'SUSPENDED'] as const;
export type MemberStatus = (typeof MEMBER_STATUSES)[number];

/** The fields that a record can give, in the order in which an export writes them. */
export const MEMBER_COLUMNS = [
  'email',
  'name',
  'externalId',
  'role',
  'status',
  'avatarUrl',
  'location',
  'tags',
  'timeZone',
  'permalink',
  'createdAt',
  'lastActiveAt',
] as const;
export type MemberColumn = (typeof MEMBER_COLUMNS)[number];

export const NAME_MAX_CHARACTERS = 200;
export const EMAIL_MAX_CHARACTERS = 254;
export const EXTERNAL_ID_MAX_CHARACTERS = 200;
export const AVATAR_URL_MAX_CHARACTERS = 2_048;
export const LOCATION_MAX_CHARACTERS = 200;
export const TAGS_MAX = 50;
export const TAG_MAX_CHARACTERS = 50;
/** IANA's longest name, America/Argentina/ComodRivadavia, has 32. */
export const TIME_ZONE_MAX_CHARACTERS = 64;
export const PERMALINK_MAX_CHARACTERS = 2_048;
export const CUSTOM_FIELDS_MAX = 50;
export const CUSTOM_FIELD_NAME_MAX_CHARACTERS = 100;
export const CUSTOM_FIELDS_MAX_BYTES = 16 * 1_024;
/** Levels of arrays and objects in one custom value. */
export const CUSTOM_VALUE_MAX_DEPTH = 16;
/** Folding can make a text many times as long (U+FDFA: 18 times), and PostgreSQL indexes no more than 2,704 bytes. */
export const FOLDED_MAX_BYTES = 2_048;

const DAY_MS = 86_400_000;

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What a record says of a member. Undefined: nothing; null: that the member has none. */
export interface MemberFields {
  readonly email: string | undefined;
  readonly emailFolded: string | undefined;
  /** Null: it is the folded address (domain/email-identity.ts). */
  readonly emailIdentity: string | null | undefined;
  /** The keys under which the mailbox may be stored; none where no address is given. */
  readonly emailLookups: readonly string[];
  readonly name: string | undefined;
  readonly nameFolded: string | undefined;
  readonly externalId: string | null | undefined;
  readonly role: MemberRole | undefined;
  readonly status: MemberStatus | undefined;
  readonly avatarUrl: string | null | undefined;
  readonly location: string | null | undefined;
  readonly tags: readonly string[] | undefined;
  readonly timeZone: string | null | undefined;
  readonly permalink: string | null | undefined;
  readonly createdAt: Date | undefined;
  readonly lastActiveAt: Date | null | undefined;
  /** A null value erases that field; a field that is not named here stays. */
  readonly customFields: ReadonlyMap<string, Json>;
}

/** Names the field and its bound, never the value: it is shown and logged. */
export interface Fault {
  readonly field: string;
  readonly reason: string;
}

export type ParsedMember =
  | { readonly ok: true; readonly member: MemberFields }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** One field's value, or what is wrong with it. */
export type Parsed<Value> = { readonly value: Value } | { readonly reason: string };

const COLUMNS: ReadonlySet<string> = new Set(MEMBER_COLUMNS);

export function isMemberColumn(name: string): name is MemberColumn {
  return COLUMNS.has(name);
}

/**
 * A record of a file: it has an address and a name, or what else is `required`. All faults come back together. `now` bounds
 * the times.
 */
export function parseMember(
  record: Iterable<readonly [string, unknown]>,
  now: Date,
  required: readonly MemberColumn[] = REQUIRED_COLUMNS,
): ParsedMember {
  const known = new Map<string, unknown>();
  const others: (readonly [string, unknown])[] = [];
  for (const pair of record) {
    if (isMemberColumn(pair[0])) known.set(pair[0], pair[1]);
    else others.push(pair);
  }
  const parsed = parseMemberFields(known, others, now);
  const missing = required.filter((field) => !known.has(field)).map((field) => ({ field, reason: REQUIRED }));
  if (missing.length === 0) return parsed;
  return { ok: false, faults: [...(parsed.ok ? [] : parsed.faults), ...missing] };
}

/** What every member has. */
const REQUIRED_COLUMNS = ['email', 'name'] as const satisfies readonly MemberColumn[];

/**
 * Any fields of a member, with custom fields given apart: none of those may have the name of a field, or it could not be
 * exported.
 */
export function parseMemberFields(
  known: ReadonlyMap<string, unknown>,
  custom: readonly (readonly [string, unknown])[],
  now: Date,
): ParsedMember {
  const faults: Fault[] = [];
  function take<Value>(field: MemberColumn, parse: (input: unknown) => Parsed<Value>): Value | undefined {
    const input = known.get(field);
    if (input === undefined) return undefined;
    const parsed = parse(input);
    if ('value' in parsed) return parsed.value;
    faults.push({ field, reason: parsed.reason });
    return undefined;
  }
  const email = take('email', parseEmail);
  const name = take('name', parseName);
  const rest = {
    externalId: take('externalId', nullable(parseExternalId)),
    role: take('role', absentIfNull(choice(MEMBER_ROLES))),
    status: take('status', absentIfNull(choice(MEMBER_STATUSES))),
    avatarUrl: take('avatarUrl', nullable(httpUrl(AVATAR_URL_MAX_CHARACTERS))),
    location: take('location', nullable(parseLocation)),
    tags: take('tags', parseTags),
    timeZone: take('timeZone', nullable(parseTimeZone)),
    permalink: take('permalink', nullable(httpUrl(PERMALINK_MAX_CHARACTERS))),
    createdAt: take(
      'createdAt',
      absentIfNull((input) => parseTime(input, now)),
    ),
    lastActiveAt: take(
      'lastActiveAt',
      nullable((input) => parseTime(input, now)),
    ),
    customFields: parseCustomFields(custom, faults),
  };
  if (faults.length > 0) return { ok: false, faults };
  return { ok: true, member: { ...emailFields(email), name, nameFolded: foldedOf(name), ...rest } };
}

function emailFields(
  email: string | undefined,
): Pick<MemberFields, 'email' | 'emailFolded' | 'emailIdentity' | 'emailLookups'> {
  if (email === undefined) return { email, emailFolded: undefined, emailIdentity: undefined, emailLookups: [] };
  const { folded, identity, lookups } = emailIdentity(email);
  return { email, emailFolded: folded, emailIdentity: identity, emailLookups: lookups };
}

export const REQUIRED = 'is required';

function foldedOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : fold(text);
}

function nullable<Value>(parse: (input: unknown) => Parsed<Value>): (input: unknown) => Parsed<Value | null> {
  return (input) => (isNothing(input) ? { value: null } : parse(input));
}

function absentIfNull<Value>(parse: (input: unknown) => Parsed<Value>): (input: unknown) => Parsed<Value | undefined> {
  return (input) => (isNothing(input) ? { value: undefined } : parse(input));
}

function isNothing(input: unknown): boolean {
  return input === null || (typeof input === 'string' && input.trim() === '');
}

export function parseName(input: unknown): Parsed<string> {
  const text = line(input, 1, NAME_MAX_CHARACTERS);
  return 'value' in text ? foldable(text.value) : text;
}

/** A program's own ids are often numbers. */
function parseExternalId(input: unknown): Parsed<string> {
  return line(Number.isSafeInteger(input) ? String(input) : input, 1, EXTERNAL_ID_MAX_CHARACTERS);
}

function choice<Value extends string>(choices: readonly Value[]): (input: unknown) => Parsed<Value> {
  return (input) => {
    const wanted = typeof input === 'string' ? input.trim().toUpperCase() : '';
    const found = choices.find((value) => value === wanted);
    return found === undefined ? { reason: `must be one of ${choices.join(', ')}` } : { value: found };
  };
}

function httpUrl(maxCharacters: number): (input: unknown) => Parsed<string> {
  return (input) => {
    const text = line(input, 1, maxCharacters);
    if ('reason' in text) return text;
    const protocol = URL.parse(text.value)?.protocol;
    return protocol === 'https:' || protocol === 'http:' ? text : { reason: 'must be an http or https URL' };
  };
}

function parseLocation(input: unknown): Parsed<string> {
  const text = trimmed(input);
  if ('reason' in text) return text;
  return isLongerThan(text.value, LOCATION_MAX_CHARACTERS)
    ? { reason: `must have at most ${LOCATION_MAX_CHARACTERS} characters` }
    : text;
}

// ——— texts ———

/** A text of one line: blanks around it are dropped, control characters inside it refused. */
function line(input: unknown, min: number, max: number): Parsed<string> {
  const text = trimmed(input);
  if ('reason' in text) return text;
  if (text.value.length < min || isLongerThan(text.value, max))
    return { reason: `must have ${min} to ${max} characters` };
  return hasControlCharacters(text.value) ? { reason: 'must not hold line breaks or control characters' } : text;
}

function trimmed(input: unknown): Parsed<string> {
  if (typeof input !== 'string') return { reason: input === null ? REQUIRED : 'must be a text' };
  return isStorable(input) ? { value: input.trim() } : { reason: NOT_STORABLE };
}

const NOT_STORABLE = 'must not hold a NUL or half of a surrogate pair';

/** PostgreSQL stores neither NUL nor what is no well-formed Unicode. */
function isStorable(text: string): boolean {
  return isWellFormed(text) && !text.includes('\0');
}

function isLongerThan(text: string, max: number): boolean {
  // A character has one or two UTF-16 units, so most texts need no counting.
  if (text.length <= max) return false;
  return text.length > 2 * max || characters(text) > max;
}

function foldable(text: string): Parsed<string> {
  return Buffer.byteLength(fold(text)) <= FOLDED_MAX_BYTES
    ? { value: text }
    : { reason: `must have at most ${FOLDED_MAX_BYTES} bytes in Unicode's compatibility form (NFKC)` };
}

// ——— e-mail ———

const INVISIBLE = String.raw`\s\p{Cc}[\p{Cf}--[\u200c\u200d]]`;
/** Dots stand where RFC 5321 forbids them (first, last, two in a row) in addresses that some providers gave out. */
const LOCAL_PART = new RegExp(String.raw`^[^${INVISIBLE}\ufffd\(\)<>\[\]\\,;:@"]+$`, 'v');
const QUOTED_LOCAL_PART = /^"(?:[^"\\\ufffd\p{Cc}]|\\[^\ufffd\p{Cc}])+"$/u;
/** What is left of a text that was read in a wrong encoding, means nothing to anybody else, or nothing yet. */
const DAMAGED = String.raw`\ufffd\p{Co}\p{Cn}`;
/** Beyond ASCII anything visible may stand in a name that a registry hands out, emoji too. */
const LABEL = new RegExp(String.raw`^(?!-)(?:[A-Za-z0-9_\-]|[^${INVISIBLE}${DAMAGED}\u0000-\u007f])+(?<!-)$`, 'v');
const LABEL_MAX_CHARACTERS = 63;
const ADDRESS_LITERAL = /^\[(?:\d{1,3}(?:\.\d{1,3}){3}|IPv6:[0-9A-Fa-f:.]+)\]$/;

/**
 * RFC 5321 and 6531 as far as the world keeps to them: plus tags, quoted local parts, local parts and domains in any
 * script, and local parts of more than 64 characters, which exist. Kept as written, but for what nobody sees in a domain and
 * its full stops (visibleDomain): mail programs and people compare what is shown. emailIdentity() is what makes it unique.
 */
export function parseEmail(input: unknown): Parsed<string> {
  const text = trimmed(input);
  if ('reason' in text) return text;
  const { value } = text;
  if (value === '') return { reason: REQUIRED };
  if (isLongerThan(value, EMAIL_MAX_CHARACTERS))
    return { reason: `must have at most ${EMAIL_MAX_CHARACTERS} characters` };
  const at = value.lastIndexOf('@');
  const local = value.slice(0, at);
  if (at < 1 || !(LOCAL_PART.test(local) || QUOTED_LOCAL_PART.test(local))) return NOT_AN_ADDRESS;
  const domain = parseDomain(value.slice(at + 1));
  return 'reason' in domain ? domain : foldable(`${local}@${domain.value}`);
}

const NOT_AN_ADDRESS = { reason: 'must be an e-mail address' };

function parseDomain(given: string): Parsed<string> {
  if (ADDRESS_LITERAL.test(given)) return { value: given };
  const domain = visibleDomain(given);
  const isDomain = domain.split('.').every((label) => LABEL.test(label) && !isLongerThan(label, LABEL_MAX_CHARACTERS));
  if (!isDomain) return NOT_AN_ADDRESS;
  if (endsInNumber(domain)) {
    return {
      reason: 'must not have a domain that ends in a number; an IP address stands in brackets: ada@[192.0.2.1]',
    };
  }
  if (asciiDomain(domain) === null) return { reason: 'must have a valid domain: this one has no ASCII form by UTS 46' };
  return { value: domain };
}

// ——— time ———

const ISO_8601 =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)? ?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$/;

/** As Ruby writes it, and so Discourse and other Rails applications: `2024-01-31 08:30:00 UTC`. */
const UTC = / UTC$/;

function parseTime(input: unknown, now: Date): Parsed<Date> {
  const time = typeof input === 'string' ? parseIsoTime(input.trim().replace(UTC, 'Z')) : { reason: NOT_ISO_8601 };
  if ('reason' in time) return time;
  const isWithin = time.value.getTime() >= EARLIEST_MS && time.value.getTime() <= now.getTime() + DAY_MS;
  return isWithin ? time : { reason: `must be between the year ${EARLIEST_YEAR} and tomorrow` };
}

/** Communities are older than computers; a year before this one is a mistyped one. */
const EARLIEST_YEAR = 1000;
const EARLIEST_MS = Date.UTC(EARLIEST_YEAR, 0, 1);

const NOT_ISO_8601 = 'must be a time in ISO 8601, such as 2026-01-31 or 2026-01-31T08:30:00Z';

/** A date alone is midnight in UTC; a time without a zone is refused, because nobody can know which moment it means. */
export function parseIsoTime(text: string): Parsed<Date> {
  const parts = ISO_8601.exec(text);
  if (parts === null) return { reason: NOT_ISO_8601 };
  const [, year, month, day, hour, minute = '00', second = '00', fraction = '', zone] = parts;
  if (hour !== undefined && zone === undefined) return { reason: 'must name its time zone, such as Z or +02:00' };
  const date = `${year}-${month}-${day}`;
  const clock = `${hour ?? '00'}:${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}`;
  const time = new Date(Date.parse(`${date}T${clock}Z`) - offsetMs(zone ?? 'Z'));
  // Date takes 30 February for 2 March, and 24:00 for the next midnight.
  const isReal = new Date(`${date}T00:00:00Z`).getUTCDate() === Number(day) && hour !== '24';
  return isReal && !Number.isNaN(time.getTime()) ? { value: time } : { reason: 'must be a day and time that exist' };
}

/** NaN where there is no such offset. */
function offsetMs(zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', '') || '0');
  if (hours > 14 || minutes > 59) return Number.NaN;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

// ——— tags ———

/**
 * A list; a text is a list of one, as GraphQL takes it. Blanks around a tag, empty and repeated ones are dropped. What is
 * in a cell of CSV comes in as a list (splitTags).
 */
function parseTags(input: unknown): Parsed<string[]> {
  if (input === null) return { value: [] };
  const given: unknown[] | null = typeof input === 'string' ? [input] : Array.isArray(input) ? input : null;
  if (given === null) return { reason: 'must be a list of texts' };
  const tags = new Set<string>();
  for (const item of given) {
    const tag = line(item, 0, TAG_MAX_CHARACTERS);
    if ('reason' in tag) return { reason: `each ${tag.reason}` };
    if (tag.value !== '') tags.add(tag.value);
    if (tags.size > TAGS_MAX) return { reason: `must be at most ${TAGS_MAX}` };
  }
  return { value: [...tags] };
}

/** `;` parts tags; `\;` is a semicolon in a tag and `\\` a backslash. Any other backslash is itself. */
export function splitTags(cell: string): string[] {
  if (!cell.includes('\\')) return cell.split(';');
  const tags: string[] = [];
  let tag = '';
  for (const [part] of cell.matchAll(/\\[\\;]|;|[^\\;]+|\\/g)) {
    if (part === ';') {
      tags.push(tag);
      tag = '';
    } else tag += part === '\\;' || part === '\\\\' ? part.slice(1) : part;
  }
  return [...tags, tag];
}

/** The other way round: splitTags(joinTags(tags)) are the same tags. */
export function joinTags(tags: readonly string[]): string {
  return tags.map((tag) => tag.replaceAll(/[\\;]/g, String.raw`\$&`)).join(';');
}

// ——— custom fields ———

function parseCustomFields(given: readonly (readonly [string, unknown])[], faults: Fault[]): Map<string, Json> {
  const fields = new Map<string, Json>();
  for (const [name, input] of given.length > CUSTOM_FIELDS_MAX ? [] : given) {
    const nameFault = customNameFault(name);
    // A name that is at fault is not shown: it may be anything.
    if (nameFault !== null) faults.push({ field: 'customFields', reason: nameFault });
    else {
      const value = toJson(input, CUSTOM_VALUE_MAX_DEPTH);
      if ('value' in value) fields.set(name, value.value);
      else faults.push({ field: name, reason: value.reason });
    }
  }
  const reason = given.length > CUSTOM_FIELDS_MAX ? TOO_MANY_CUSTOM_FIELDS : sizeFault(fields);
  if (reason !== null) faults.push({ field: 'customFields', reason });
  return fields;
}

const TOO_MANY_CUSTOM_FIELDS = `must be at most ${CUSTOM_FIELDS_MAX}`;

/**
 * A member's custom fields after a record that gives some of them. The bounds hold for the whole, so it can be refused
 * where the record alone was good.
 */
export function mergeCustomFields(
  existing: Readonly<Record<string, Json>>,
  given: ReadonlyMap<string, Json>,
): Parsed<Readonly<Record<string, Json>>> {
  const merged = new Map(Object.entries(existing));
  for (const [name, value] of given) {
    if (value === null) merged.delete(name);
    else merged.set(name, value);
  }
  const reason = merged.size > CUSTOM_FIELDS_MAX ? TOO_MANY_CUSTOM_FIELDS : sizeFault(merged);
  // fromEntries defines properties, so that a field named __proto__ is one like any other.
  return reason === null ? { value: Object.fromEntries(merged) } : { reason };
}

function sizeFault(fields: ReadonlyMap<string, Json>): string | null {
  if (fields.size === 0) return null;
  const bytes = Buffer.byteLength(JSON.stringify(Object.fromEntries(fields)));
  return bytes > CUSTOM_FIELDS_MAX_BYTES
    ? `must have at most ${CUSTOM_FIELDS_MAX_BYTES} bytes as JSON, all together`
    : null;
}

export const NO_FIELD_NAME = 'no name may be that of a field of a member';

function customNameFault(name: string): string | null {
  if (isMemberColumn(name)) return NO_FIELD_NAME;
  const parsed = line(name, 1, CUSTOM_FIELD_NAME_MAX_CHARACTERS);
  if ('reason' in parsed) return `each name ${parsed.reason}`;
  return parsed.value === name ? null : 'each name must begin and end without blanks';
}

/** Refuses what would not come back as it was given: PostgreSQL's JSON has no NUL, and 2^53 + 1 reads as 2^53. */
function toJson(input: unknown, depth: number): Parsed<Json> {
  if (input === null || typeof input === 'boolean') return { value: input };
  if (typeof input === 'string') return isStorable(input) ? { value: input } : { reason: NOT_STORABLE };
  if (typeof input === 'number') {
    const isExact = Math.abs(input) <= Number.MAX_SAFE_INTEGER;
    // Zero once more: JSON's -0 comes back as 0.
    return isExact ? { value: input + 0 } : { reason: 'must be at most 2^53 - 1 as a number; write it as a text' };
  }
  if (typeof input !== 'object') return { reason: 'must be a JSON value' };
  if (depth === 0) return { reason: `must be at most ${CUSTOM_VALUE_MAX_DEPTH} levels deep` };
  return Array.isArray(input) ? toArray(input, depth - 1) : toObject(input, depth - 1);
}

function toArray(input: readonly unknown[], depth: number): Parsed<Json> {
  const items: Json[] = [];
  for (const item of input) {
    const parsed = toJson(item, depth);
    if ('reason' in parsed) return parsed;
    items.push(parsed.value);
  }
  return { value: items };
}

function toObject(input: object, depth: number): Parsed<Json> {
  const entries: [string, Json][] = [];
  for (const [key, item] of Object.entries(input)) {
    if (!isStorable(key)) return { reason: NOT_STORABLE };
    const parsed = toJson(item, depth);
    if ('reason' in parsed) return parsed;
    entries.push([key, parsed.value]);
  }
  return { value: Object.fromEntries(entries) };
}

/** The rules of an API key's fields, and whether it still lives. */
import { parseBlock } from './address.ts';
import { holdsToken } from './redaction.ts';
import { isScope } from './scope.ts';
import { canBeSeen, characters, hasControlCharacters, hasUnseenCharacters, isWellFormed } from './text.ts';
import type { Environment } from './token.ts';
import { orNull, readBoolean, readDate } from './unreadable.ts';
import { refused, type UserError } from './user-error.ts';

export const KEY_NAME_MAX_CHARACTERS = 100;
export const KEY_NOTE_MAX_CHARACTERS = 1_000;
export const REASON_MAX_CHARACTERS = 500;
export const KEY_LIFE_MIN_SECONDS = 60;
export const KEY_LIFE_MAX_YEARS = 10;
/** Ten years of 365 days: what a network's own bound may be at the most. */
export const KEY_LIFE_BOUND_MAX_SECONDS = KEY_LIFE_MAX_YEARS * 365 * 86_400;
export const ALLOWED_ADDRESSES_MAX = 50;
/** 7 days. */
export const OVERLAP_MAX_SECONDS = 604_800;
/** How many keys there may be in a line of keys that made each other. */
export const GENERATIONS_MAX = 32;
/** How many keys one call may name. */
export const KEYS_A_CALL_MAX = 250;

/**
 * By how much `lastUsedAt` may lag behind: the longest interval between two flushes (a minute), another where the key was
 * being changed just then, and time to spare for a slow database.
 */
export const LAST_USED_LAG_MAX_SECONDS = 300;

/** Beside a key that was made, or given a new token, by the same request before: it is done, and nothing was refused. */
export const TOKEN_ALREADY_SHOWN: UserError = {
  code: 'TOKEN_ALREADY_SHOWN',
  message: 'This request was done before, and its token was shown then. If it was lost, revoke the key or rotate it',
  field: [],
};

/** The outcome for an id of nothing, of another network's key and of no key at all: they answer alike. */
export const NO_SUCH_KEY = refused([
  { code: 'NOT_FOUND', message: 'There is no such API key', field: ['input', 'id'] },
]);

export type KeyStatus = 'ACTIVE' | 'EXPIRED' | 'REVOKED';

/** What has ended a key, or may have. */
export interface KeyEnds {
  readonly revokedAt: Date | null;
  /** By the database's clock, at the moment at which the key was read. */
  readonly expired: boolean;
}

/** Throws UnreadableValueError where it cannot be read whether the key has ended. */
export function statusOf({ revokedAt, expired }: KeyEnds): KeyStatus {
  if (orNull(readDate, revokedAt, 'when a key was revoked') !== null) return 'REVOKED';
  return readBoolean(expired, 'whether a key has expired') ? 'EXPIRED' : 'ACTIVE';
}

export function hasEnded(key: KeyEnds): boolean {
  return statusOf(key) !== 'ACTIVE';
}

export interface KeyFields {
  readonly name: string;
  /** For people; null: none. */
  readonly note: string | null;
  readonly scopes: readonly string[];
  /** Null: the key does not expire. */
  readonly expiresAt: Date | null;
  /** Addresses and blocks of them; none: from everywhere. */
  readonly allowedAddresses: readonly string[];
}

export interface KeyInput extends KeyFields {
  readonly environment: Environment;
}

/** What a key's life is measured by. `now` is the database's. */
export interface LifeBounds {
  readonly now: Date;
  readonly madeAt: Date;
  /** The network's policy; null: none. */
  readonly maxLifeSeconds: number | null;
}

/** The fields as they are stored: what is typed differently and means the same is the same. */
export function storedFields<Fields extends Partial<KeyFields>>(typed: Fields): Fields {
  const { name, note, scopes, allowedAddresses } = typed;
  return {
    ...typed,
    ...(name === undefined ? {} : { name: keyName(name) }),
    ...(note == null ? {} : { note: note.normalize('NFC').trim() || null }),
    ...(scopes === undefined ? {} : { scopes: [...new Set(scopes)] }),
    ...(allowedAddresses === undefined ? {} : { allowedAddresses: storedAddresses(allowedAddresses) }),
  };
}

/** A name as it is stored: without the blanks around it, composed (NFC), so that what looks equal is equal. */
export function keyName(typed: string): string {
  return typed.normalize('NFC').trim();
}

/** What is no address stays as it was typed: `fieldFaults` names it. */
function storedAddresses(typed: readonly string[]): string[] {
  return [...new Set(typed.map((text) => parseBlock(text.trim())?.text ?? text))];
}

/** Every fault of the fields that are there, each with its field. They are judged as they will be stored. */
export function fieldFaults(fields: Partial<KeyFields>, bounds: LifeBounds): UserError[] {
  const { name, note, scopes, expiresAt, allowedAddresses } = fields;
  return [
    ...(name === undefined ? [] : nameFaults(name)),
    ...(note == null ? [] : textFaults('note', 'Note', note, KEY_NOTE_MAX_CHARACTERS)),
    ...(scopes === undefined ? [] : scopeFaults(scopes)),
    ...(expiresAt === undefined ? [] : expiryFaults(expiresAt, bounds)),
    ...(allowedAddresses === undefined ? [] : addressFaults(allowedAddresses)),
  ];
}

/** Why a key was ended, as a person typed it. */
export function reasonFaults(reason: string | null): UserError[] {
  return reason === null ? [] : textFaults('reason', 'Reason', reason, REASON_MAX_CHARACTERS);
}

/** Of a filter that decides which keys are ended: what was used just now must not pass for unused. `now`: the database's. */
export function unusedFaults(unusedSince: Date | undefined, now: Date): UserError[] {
  const latest = new Date(now.getTime() - LAST_USED_LAG_MAX_SECONDS * 1_000);
  if (unusedSince === undefined || unusedSince <= latest) return [];
  const message = `unusedSince must lie at least ${LAST_USED_LAG_MAX_SECONDS} seconds back (by ${latest.toISOString()}): so long it may take until a key's use is known`;
  return [{ code: 'OUT_OF_RANGE', message, field: ['input', 'filter', 'unusedSince'] }];
}

function nameFaults(name: string): UserError[] {
  const field = ['input', 'name'];
  if (name === '') return [{ code: 'BLANK', message: 'Name is required', field }];
  if (characters(name) > KEY_NAME_MAX_CHARACTERS) {
    return [{ code: 'TOO_LONG', message: `Name must have 1 to ${KEY_NAME_MAX_CHARACTERS} characters`, field }];
  }
  if (hasControlCharacters(name) || !isWellFormed(name)) {
    return [{ code: 'INVALID', message: 'Name must not hold control characters', field }];
  }
  if (hasUnseenCharacters(name)) {
    const message = 'Name must not hold characters that cannot be seen or that turn the direction of text';
    return [{ code: 'INVALID', message, field }];
  }
  if (!canBeSeen(name)) return [{ code: 'INVALID', message: 'Name must hold a character that can be seen', field }];
  return tokenFaults('name', 'Name', name);
}

/** A text of several lines. */
function textFaults(property: string, title: string, text: string, maxCharacters: number): UserError[] {
  const field = ['input', property];
  if (characters(text) > maxCharacters) {
    return [{ code: 'TOO_LONG', message: `${title} must have at most ${maxCharacters} characters`, field }];
  }
  if (hasControlCharacters(text.replaceAll(/[\t\r\n]/g, '')) || !isWellFormed(text)) {
    return [{ code: 'INVALID', message: `${title} must not hold control characters`, field }];
  }
  return tokenFaults(property, title, text);
}

/** A token must not be kept where it can be read, not even encoded. */
function tokenFaults(property: string, title: string, text: string): UserError[] {
  if (!holdsToken(text)) return [];
  return [{ code: 'INVALID', message: `${title} must not hold a token`, field: ['input', property] }];
}

function scopeFaults(scopes: readonly string[]): UserError[] {
  return scopes
    .filter((scope) => !isScope(scope))
    .map((scope) => ({ code: 'INVALID', message: `There is no scope ${scope}`, field: ['input', 'scopes'] }));
}

function expiryFaults(expiresAt: Date | null, { now, madeAt, maxLifeSeconds }: LifeBounds): UserError[] {
  const field = ['input', 'expiresAt'];
  const policyEnd = maxLifeSeconds === null ? null : new Date(madeAt.getTime() + maxLifeSeconds * 1_000);
  if (policyEnd !== null && (expiresAt === null || expiresAt > policyEnd)) {
    const message = `The keys of this network must end within ${lifeText(maxLifeSeconds ?? 0)} of their making: by ${policyEnd.toISOString()}`;
    return [{ code: 'OUT_OF_RANGE', message, field }];
  }
  if (expiresAt === null) return [];
  const earliest = new Date(now.getTime() + KEY_LIFE_MIN_SECONDS * 1_000);
  const latest = new Date(now);
  latest.setUTCFullYear(latest.getUTCFullYear() + KEY_LIFE_MAX_YEARS);
  if (expiresAt >= earliest && expiresAt <= latest) return [];
  const message = `Expiry must lie ahead, by a minute to ${KEY_LIFE_MAX_YEARS} years (until ${latest.toISOString()})`;
  return [{ code: 'OUT_OF_RANGE', message, field }];
}

/** `90 days`, or seconds where it is not so round. */
export function lifeText(seconds: number): string {
  return seconds % 86_400 === 0 ? `${seconds / 86_400} days` : `${seconds} seconds`;
}

function addressFaults(addresses: readonly string[]): UserError[] {
  const field = ['input', 'allowedAddresses'];
  if (addresses.length > ALLOWED_ADDRESSES_MAX) {
    return [{ code: 'TOO_LONG', message: `A key has at most ${ALLOWED_ADDRESSES_MAX} allowed addresses`, field }];
  }
  return addresses.flatMap((text, index): UserError[] => {
    if (parseBlock(text) !== null) return [];
    const message = `Number ${index + 1} of the allowed addresses is neither an IP address nor a block such as 203.0.113.0/24`;
    return [{ code: 'INVALID', message, field }];
  });
}

/** The rules of an API key's fields. */
import { isScope, type Scope } from './scope.ts';
import { characters, hasControlCharacters, isWellFormed } from './text.ts';
import type { Environment } from './token.ts';
import { refused, type UserError } from './user-error.ts';

export const KEY_NAME_MAX_CHARACTERS = 100;
export const KEY_LIFE_MAX_YEARS = 10;

/** The outcome for an id of nothing, of another network's key and of no key at all: they answer alike. */
export const NO_SUCH_KEY = refused([
  { code: 'NOT_FOUND', message: 'There is no such API key', field: ['input', 'id'] },
]);

export interface KeyInput {
  readonly name: string;
  readonly scopes: readonly string[];
  /** Null: the key does not expire. */
  readonly expiresAt: Date | null;
  readonly environment: Environment;
}

/** `now` is the database's. Every fault comes back, each with its field. `name` is judged as it will be stored. */
export function keyFaults(input: KeyInput, now: Date): UserError[] {
  return [...nameFaults(input.name), ...scopeFaults(input.scopes), ...expiryFaults(input.expiresAt, now)];
}

/** A name as it is stored: without the blanks around it, composed (NFC), so that what looks equal is equal. */
export function keyName(typed: string): string {
  return typed.normalize('NFC').trim();
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
  return [];
}

function scopeFaults(scopes: readonly string[]): UserError[] {
  return scopes
    .filter((scope) => !isScope(scope))
    .map((scope) => ({ code: 'INVALID', message: `There is no scope ${scope}`, field: ['input', 'scopes'] }));
}

function expiryFaults(expiresAt: Date | null, now: Date): UserError[] {
  const field = ['input', 'expiresAt'];
  if (expiresAt === null) return [];
  const latest = new Date(now);
  latest.setUTCFullYear(latest.getUTCFullYear() + KEY_LIFE_MAX_YEARS);
  if (expiresAt > now && expiresAt <= latest) return [];
  const message = `Expiry must lie ahead, by ${KEY_LIFE_MAX_YEARS} years at the most (until ${latest.toISOString()})`;
  return [{ code: 'OUT_OF_RANGE', message, field }];
}

/** The scopes asked for that whoever makes the key lacks. */
export function scopesNotHeld(asked: readonly string[], held: ReadonlySet<Scope>): UserError[] {
  const lacking = asked.filter((scope) => isScope(scope) && !held.has(scope));
  if (lacking.length === 0) return [];
  const message = `A key can hand out no scope that its maker lacks: ${lacking.join(', ')}`;
  return [{ code: 'SCOPE_NOT_HELD', message, field: ['input', 'scopes'] }];
}

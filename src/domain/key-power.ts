/**
 * Nobody rises: whoever receives a secret or edits a key holds at least what that key can do. This is the one rule; each
 * way to hand out a secret, or power, asks it (services/api-keys/held.ts).
 */
import { areWithin, type Block, parseBlock } from './address.ts';
import type { Scope } from './scope.ts';
import type { Environment } from './token.ts';
import { orNull, readDate, UnreadableValueError } from './unreadable.ts';
import type { UserError } from './user-error.ts';

/** What a secret lets its holder do. */
export interface Power {
  readonly scopes: Iterable<string>;
  /** Null: it never ends. */
  readonly expiresAt: Date | null;
  /** Blocks as they are stored. None: from everywhere. */
  readonly allowedAddresses: readonly string[];
  readonly environment: Environment;
}

/** Power as somebody holds it: their scopes are known ones. */
export interface HeldPower extends Power {
  readonly scopes: ReadonlySet<Scope>;
}

/** In what respect one power goes beyond another. */
export type Excess =
  | { readonly of: 'scopes'; readonly scopes: readonly string[] }
  | { readonly of: 'expiresAt' | 'allowedAddresses' | 'environment' };

/** All that `power` has and `held` has not; empty where the holder may have it. */
export function excessOf(power: Power, held: HeldPower): Excess[] {
  const has: ReadonlySet<string> = held.scopes;
  const scopes = [...power.scopes].filter((scope) => !has.has(scope));
  const excess: Excess[] = scopes.length === 0 ? [] : [{ of: 'scopes', scopes }];
  if (outlives(power.expiresAt, held.expiresAt)) excess.push({ of: 'expiresAt' });
  if (!isNoWider(power.allowedAddresses, held.allowedAddresses)) excess.push({ of: 'allowedAddresses' });
  // A TEST key may not write members; a LIVE one may. What is neither counts as the lesser one, held, and as the greater
  // one, asked for.
  if (power.environment !== 'TEST' && held.environment !== 'LIVE') excess.push({ of: 'environment' });
  return excess;
}

/** Throws UnreadableValueError for an end that is no moment: it compares as neither earlier nor later. */
function outlives(end: Date | null, other: Date | null): boolean {
  const [endsAt, otherEndsAt] = [
    orNull(readDate, end, 'the end of a key'),
    orNull(readDate, other, 'the end of a key'),
  ];
  return otherEndsAt !== null && (endsAt === null || endsAt > otherEndsAt);
}

function isNoWider(inner: readonly string[], outer: readonly string[]): boolean {
  if (outer.length === 0) return true;
  return inner.length > 0 && areWithin(blocksOf(inner), blocksOf(outer));
}

/** Reading a block takes longer than all else that is asked of a request, and a key's are the same each time. */
const BLOCKS_KEPT_MAX = 10_000;
const kept = new Map<string, Block>();

/** Blocks as they are stored. One that cannot be read lets nobody in, and is wider than anything that anybody holds. */
export function blocksOf(texts: readonly string[]): Block[] {
  return texts.map((text) => kept.get(text) ?? keep(text));
}

function keep(text: string): Block {
  const block = parseBlock(text);
  if (block === null) throw new UnreadableValueError('a stored address block');
  const [oldest] = kept.keys();
  if (kept.size >= BLOCKS_KEPT_MAX && oldest !== undefined) kept.delete(oldest);
  kept.set(text, block);
  return block;
}

/** The errors of an input that asks for more than its sender holds, each at its field. */
export function excessFaults(excess: readonly Excess[], held: HeldPower): UserError[] {
  return excess.map((each): UserError => {
    const field = ['input', each.of];
    if (each.of === 'scopes') {
      const message = `A key can hand out no scope that its maker lacks: ${each.scopes.join(', ')}`;
      return { code: 'SCOPE_NOT_HELD', message, field };
    }
    return { code: 'NOT_HELD', message: MESSAGES[each.of](held), field };
  });
}

const MESSAGES: Readonly<Record<Exclude<Excess['of'], 'scopes'>, (held: HeldPower) => string>> = {
  expiresAt: ({ expiresAt }) =>
    `A token can give no key a longer life than its own: give an end of ${expiresAt?.toISOString()} or before`,
  allowedAddresses: ({ allowedAddresses }) =>
    `A token can let no key be used from where it may not be used itself: name addresses within ${allowedAddresses.join(', ')}`,
  environment: () => 'A TEST key can make TEST keys alone',
};

/** Why a key that stands is beyond whoever wants to have its secret or to edit it. */
export function beyondCaller(excess: readonly Excess[]): UserError {
  const what = excess.map((each) => (each.of === 'scopes' ? `the scopes ${each.scopes.join(', ')}` : NAMES[each.of]));
  const message = `This key may do more than the caller's token: ${what.join('; ')}`;
  return { code: 'NOT_HELD', message, field: ['input', 'id'] };
}

const NAMES = {
  expiresAt: 'it lives longer',
  allowedAddresses: 'it may be used from more addresses',
  environment: 'it is a LIVE key',
} as const;

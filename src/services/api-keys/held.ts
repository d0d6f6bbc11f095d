/** Nobody rises (domain/key-power.ts), asked inside a transaction of the actor as it stands there. */
import type { KeyRow } from '../../database/tables.ts';
import { parseBlock } from '../../domain/address.ts';
import type { KeyInput } from '../../domain/api-key.ts';
import { beyondCaller, excessFaults, excessOf, type HeldPower } from '../../domain/key-power.ts';
import { type AdminRole, isScope, scopesOfRole } from '../../domain/scope.ts';
import type { UserError } from '../../domain/user-error.ts';
import type { Actor } from '../actor.ts';

/** Null: the operator, who holds everything. */
export function heldBy(actor: Actor): HeldPower | null {
  return actor.kind === 'KEY' ? actor.principal : null;
}

/** What an admin holds, and so what a key that acts for them can. */
export function heldByRole(role: AdminRole): HeldPower {
  return { scopes: scopesOfRole(role), expiresAt: null, allowedAddresses: [], environment: 'LIVE' };
}

/** Why the actor may not change this key in any way; null where it may. Asked by changeable-key.ts alone. */
export function whyBeyond(actor: Actor, key: KeyRow): UserError | null {
  const held = heldBy(actor);
  const excess = held === null ? [] : excessOf(key, held);
  if (excess.length === 0) return null;
  return maySeeKeys(actor) ? beyondCaller(excess) : BEYOND_UNSEEN;
}

/**
 * Why the actor is given no secret of a key that it may change; null where it is. A secret lets its holder act in the name
 * of the key's admin, so only a key of the same admin gets it.
 */
export function whyNoSecret(actor: Actor, key: KeyRow): UserError | null {
  const isAnothers = actor.kind === 'KEY' && actor.principal.adminId !== key.adminId;
  if (!isAnothers) return null;
  return maySeeKeys(actor) ? OF_ANOTHER_ADMIN : BEYOND_UNSEEN;
}

function maySeeKeys(actor: Actor): boolean {
  return actor.kind !== 'KEY' || actor.principal.scopes.has('keys:read');
}

/** For a caller without keys:read: what the key can do, and for whom, is not for it to know. */
const BEYOND_UNSEEN: UserError = {
  code: 'NOT_HELD',
  message: "This key is beyond the caller's token, which needs the scope keys:read to be told why",
  field: ['input', 'id'],
};

const OF_ANOTHER_ADMIN: UserError = {
  code: 'NOT_HELD',
  message:
    "This key acts for another admin: only that admin's own keys, and the operator's command line, get a token of it",
  field: ['input', 'id'],
};

/** The faults of an input that asks for more than is held. What is no scope or address is a fault of its own. */
export function risingFaults(input: Omit<KeyInput, 'name' | 'note'>, held: HeldPower): UserError[] {
  const isReadable = input.allowedAddresses.every((text) => parseBlock(text) !== null);
  const power = {
    ...input,
    scopes: input.scopes.filter(isScope),
    allowedAddresses: isReadable ? input.allowedAddresses : held.allowedAddresses,
  };
  return excessFaults(excessOf(power, held), held);
}

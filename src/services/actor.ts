/** Who makes a change. Every write names one, and its audit event records it. */
import type { Address } from '../domain/address.ts';
import type { Idempotency } from '../domain/idempotency.ts';
import type { Principal } from '../domain/verification.ts';

/** A program with a token: checked again inside each write's transaction. */
export interface KeyActor {
  readonly kind: 'KEY';
  readonly principal: Principal;
}

export type Actor =
  | KeyActor
  /** The operator, on the machine itself. */
  | { readonly kind: 'COMMAND_LINE' }
  /** Whoever reports a leaked token. Nobody knows who that is: it may end what it holds, and nothing else. */
  | { readonly kind: 'SCANNER' };

/** The request that asked for a change. All null on the command line. */
export interface Source {
  readonly requestId: string | null;
  /** The caller's, past trusted proxies. */
  readonly address: Address | null;
  /** As it was sent: the caller's to choose. */
  readonly userAgent: string | null;
}

/** Where a change comes from. */
export interface Origin extends Source {
  readonly actor: Actor;
  /** Where the request may be sent again: which of its writes this is. */
  readonly idempotency?: WriteIdentity | null;
}

export interface WriteIdentity extends Idempotency {
  /** From 0, in the order of the operation's writes. */
  readonly ordinal: number;
  /** Told where the write had been done before, and is only told of again; maybe more than once. */
  readonly onReplayed: () => void;
}

export const COMMAND_LINE: Origin = {
  actor: { kind: 'COMMAND_LINE' },
  requestId: null,
  address: null,
  userAgent: null,
};

/** The id that audit events and `createdById` columns keep: the key's, or null. */
export function actorId(actor: Actor): string | null {
  return actor.kind === 'KEY' ? actor.principal.keyId : null;
}

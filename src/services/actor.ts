/** Who makes a change. Every write names one, and its audit event records it. */
import type { Principal } from '../domain/verification.ts';

export type Actor =
  /** A program with a token: checked again inside each write's transaction. */
  | { readonly kind: 'KEY'; readonly principal: Principal }
  /** The operator, on the machine itself. */
  | { readonly kind: 'COMMAND_LINE' };

/** Where a change comes from. */
export interface Origin {
  readonly actor: Actor;
  /** The request that asked for it; null on the command line. */
  readonly requestId: string | null;
}

export const COMMAND_LINE: Origin = { actor: { kind: 'COMMAND_LINE' }, requestId: null };

/** The id that audit events and `createdById` columns keep: the key's, or null. */
export function actorId(actor: Actor): string | null {
  return actor.kind === 'KEY' ? actor.principal.keyId : null;
}

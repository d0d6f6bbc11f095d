/** What a resolver may reach: who is calling, reads of their network, and the writes open to them. */
import type { NetworkReads } from '../database/network-reads.ts';
import type { CursorSigner } from '../domain/cursor.ts';
import type { UsageRetention } from '../domain/usage.ts';
import type { Principal } from '../domain/verification.ts';
import type { CallerServices } from '../services/caller-services.ts';
import { Loaders } from './loaders.ts';
import type { RequestLimits } from './request-limits.ts';

/** Told of a change of keys that was asked for and refused. `action`: the mutation. */
export type OnRefusedAttempt = (action: string, code: string) => void;

export interface ContextParts {
  readonly requestId: string;
  readonly principal: Principal;
  readonly reads: NetworkReads;
  readonly services: CallerServices;
  readonly cursors: CursorSigner;
  readonly limits: RequestLimits;
  readonly usageRetention: UsageRetention;
  readonly onRefusedAttempt: OnRefusedAttempt;
}

export class Context implements ContextParts {
  readonly requestId: string;
  readonly principal: Principal;
  readonly reads: NetworkReads;
  readonly services: CallerServices;
  readonly cursors: CursorSigner;
  readonly limits: RequestLimits;
  readonly usageRetention: UsageRetention;
  readonly onRefusedAttempt: OnRefusedAttempt;
  #loaders: Loaders | null = null;

  constructor(parts: ContextParts) {
    this.requestId = parts.requestId;
    this.principal = parts.principal;
    this.reads = parts.reads;
    this.services = parts.services;
    this.cursors = parts.cursors;
    this.limits = parts.limits;
    this.usageRetention = parts.usageRetention;
    this.onRefusedAttempt = parts.onRefusedAttempt;
  }

  get loaders(): Loaders {
    this.#loaders ??= new Loaders(this.reads);
    return this.#loaders;
  }
}

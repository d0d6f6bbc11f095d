/** What a resolver may reach: who is calling, reads of their network, and the writes open to them. */
import type { NetworkReads } from '../database/network-reads.ts';
import type { CursorSigner } from '../domain/cursor.ts';
import type { Principal } from '../domain/verification.ts';
import type { CallerServices } from '../services/caller-services.ts';
import { Loaders } from './loaders.ts';

export interface ContextParts {
  readonly requestId: string;
  readonly principal: Principal;
  readonly reads: NetworkReads;
  readonly services: CallerServices;
  readonly cursors: CursorSigner;
}

export class Context implements ContextParts {
  readonly requestId: string;
  readonly principal: Principal;
  readonly reads: NetworkReads;
  readonly services: CallerServices;
  readonly cursors: CursorSigner;
  #loaders: Loaders | null = null;

  constructor(parts: ContextParts) {
    this.requestId = parts.requestId;
    this.principal = parts.principal;
    this.reads = parts.reads;
    this.services = parts.services;
    this.cursors = parts.cursors;
  }

  get loaders(): Loaders {
    this.#loaders ??= new Loaders(this.reads);
    return this.#loaders;
  }
}

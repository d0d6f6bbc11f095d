/** What a resolver may reach: who is calling, reads of their network, and the writes open to them. */
import type { DocumentNode, OperationDefinitionNode } from 'graphql';
import type { NetworkReads } from '../database/network-reads.ts';
import { AnswerSize } from '../domain/answer-size.ts';
import type { CursorSigner } from '../domain/cursor.ts';
import type { UsageRetention } from '../domain/usage.ts';
import type { Principal } from '../domain/verification.ts';
import type { CallerServices } from '../services/caller-services.ts';
import { Loaders } from './loaders.ts';
import type { RequestLimits } from './request-limits.ts';
import { fragmentsOf } from './requirements.ts';
import { fieldsBelow } from './selection.ts';

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
  /** Of the whole request. Absent: one of its own, with the default bound. */
  readonly answer?: AnswerSize;
}

interface Executed {
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
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
  readonly answer: AnswerSize;
  /** What is executed; null until it is known. */
  executed: Executed | null = null;
  #loaders: Loaders | null = null;
  #names: ReadonlySet<string> | null = null;

  constructor(parts: ContextParts) {
    this.requestId = parts.requestId;
    this.principal = parts.principal;
    this.reads = parts.reads;
    this.services = parts.services;
    this.cursors = parts.cursors;
    this.limits = parts.limits;
    this.usageRetention = parts.usageRetention;
    this.onRefusedAttempt = parts.onRefusedAttempt;
    this.answer = parts.answer ?? new AnswerSize();
  }

  get loaders(): Loaders {
    this.#loaders ??= new Loaders(this.reads, this);
    return this.#loaders;
  }

  /** The names of all fields that the operation selects; null where it is not known. */
  get names(): ReadonlySet<string> | null {
    if (this.executed === null) return null;
    const { document, operation } = this.executed;
    const fragments = Object.fromEntries(fragmentsOf(document.definitions));
    this.#names ??= fieldsBelow({ fieldNodes: [operation], fragments });
    return this.#names;
  }
}

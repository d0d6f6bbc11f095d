/**
 * graphql-rate-limit's rule for the fields that declare `@rateLimit`, over a store of ours. Its own way (read, count,
 * write) lets in any number of calls at once, so our store's read registers the call atomically, or finds it registered
 * by the charge before execution, and its write does nothing. All that the rule then has to tell apart is whether the
 * read gave something: the one earlier call that makes one more too many.
 */
import type { IRule } from 'graphql-shield';
import type { GatehouseError } from '../domain/errors.ts';
import type { Context } from './context.ts';
import { requireShielded } from './shield-loader.ts';

const { createRateLimitRule, Store } = requireShielded('graphql-rate-limit') as typeof import('graphql-rate-limit');

/** What is on its way between the hooks of one call, which share nothing but a string. Empty between calls. */
class Calls<Value> {
  readonly #values = new Map<string, Value>();
  #count = 0;

  put(value: Value): string {
    this.#count += 1;
    const id = String(this.#count);
    this.#values.set(id, value);
    return id;
  }

  take(id: string): Value | undefined {
    const value = this.#values.get(id);
    this.#values.delete(id);
    return value;
  }
}

class AtomicStore extends Store {
  readonly #register: (call: string) => Promise<boolean>;

  constructor(register: (call: string) => Promise<boolean>) {
    super();
    this.#register = register;
  }

  override async getForIdentity({ contextIdentity }: { contextIdentity: string }): Promise<number[]> {
    return (await this.#register(contextIdentity)) ? [] : [Date.now()];
  }

  override setForIdentity(): void {
    // The read has counted the call.
  }
}

/** `field`: `Type.field`. `standardMax`: uses a minute on STANDARD. */
export function rateLimitRule(field: string, standardMax: number): IRule {
  const contexts = new Calls<Context>();
  const refusals = new Map<string, GatehouseError>();
  const register = async (call: string) => {
    const context = contexts.take(call);
    const refusal = (await context?.limits.use(field, standardMax)) ?? null;
    if (refusal !== null) refusals.set(call, refusal);
    return context !== undefined && refusal === null;
  };
  const rule = createRateLimitRule({
    identifyContext: (context: Context) => contexts.put(context),
    // The only thing that goes from the store to the error is this text.
    formatError: ({ contextIdentity }) => contextIdentity,
    createError(call) {
      const refusal = refusals.get(call);
      refusals.delete(call);
      return refusal ?? new Error(`${field} was refused by nobody`);
    },
    store: new AtomicStore(register),
  });
  return rule({ max: 1, window: '60s' });
}

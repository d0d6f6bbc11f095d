/** How what became of a key is told again, when a request comes again under its Idempotency-Key: never with a token. */
import type { Prisma } from '../../database/generated/client.ts';
import type { KeyRow } from '../../database/tables.ts';
import { type Outcome, refused, type UserError } from '../../domain/user-error.ts';
import type { Memo } from '../idempotency.ts';
import { readKey } from './key-row.ts';

/** `token`: null where the request had been done before, and is only told of it again. */
export type ToldApiKey = Outcome<{ readonly apiKey: KeyRow; readonly token: string | null }>;

const GONE: UserError = {
  code: 'NOT_FOUND',
  message: 'This request was done before, and its key has been deleted since',
  field: [],
};

type Saved = { readonly keyId: string } | { readonly errors: readonly UserError[] };

function save(outcome: Outcome<{ readonly apiKey: KeyRow }>): Saved {
  return outcome.ok ? { keyId: outcome.apiKey.id } : { errors: outcome.errors };
}

async function restore(networkId: string, saved: unknown, prisma: Prisma.TransactionClient) {
  const kept = saved as Saved;
  if ('errors' in kept) return refused(kept.errors);
  const apiKey = await readKey(prisma, networkId, kept.keyId);
  return apiKey === null ? refused([GONE]) : { ok: true as const, apiKey };
}

/** Of a change: the key as it is now. */
export function keyMemo(networkId: string): Memo<Outcome<{ readonly apiKey: KeyRow }>> {
  return { save, restore: (saved, prisma) => restore(networkId, saved, prisma) };
}

/** Of what gave a token. */
export function tokenMemo(networkId: string): Memo<ToldApiKey> {
  return {
    save,
    async restore(saved, prisma) {
      const outcome = await restore(networkId, saved, prisma);
      return outcome.ok ? { ...outcome, token: null } : outcome;
    },
  };
}

/** For whoever sends no request a second time: the token is there. */
export function withToken(outcome: ToldApiKey): Outcome<{ readonly apiKey: KeyRow; readonly token: string }> {
  if (!outcome.ok) return outcome;
  const { apiKey, token } = outcome;
  if (token === null) throw new TypeError('only a request with an Idempotency-Key is told of a key again');
  return { ok: true, apiKey, token };
}

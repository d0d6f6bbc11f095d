/**
 * From whom a caller has what it is: what it makes, and what it is given, remembers them, so that all of it can be ended
 * with any of them, also when those between are gone.
 */
import type { WriteTransaction } from '../transaction.ts';

/** Ids of keys, the caller's own last: its makers, and who was given the token that it sends. The operator has none. */
export async function lineageOf({ actor, prisma }: WriteTransaction): Promise<string[]> {
  if (actor.kind !== 'KEY') return [];
  const { digest, keyId } = actor.principal;
  const { receivedByIds, key } = await prisma.secret.findUniqueOrThrow({
    where: { digest: new Uint8Array(digest) },
    select: { receivedByIds: true, key: { select: { ancestorIds: true } } },
  });
  const others = [...key.ancestorIds, ...receivedByIds].filter((id) => id !== keyId);
  return [...new Set(others), keyId];
}

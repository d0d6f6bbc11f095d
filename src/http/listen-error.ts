/** An address that cannot be listened on, in words for the operator. */

/** HOST and PORT can't be listened on. Its message is one clear sentence. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

const NO_ADDRESS = 'HOST is no address of this machine.';
const LISTEN_FAULTS: ReadonlyMap<unknown, string> = new Map([
  ['EADDRINUSE', 'The port is taken by another program: end it, or set PORT to a free one.'],
  ['EACCES', 'The port may not be used by this user: set PORT to one above 1023.'],
  ['EADDRNOTAVAIL', NO_ADDRESS],
  ['EINVAL', NO_ADDRESS],
  ['ENOTFOUND', NO_ADDRESS],
  ['EAI_AGAIN', NO_ADDRESS],
]);

/** What was thrown, as a ListenError where that is what it means. */
export function listenError(cause: unknown): unknown {
  const sentence = LISTEN_FAULTS.get(cause instanceof Error && 'code' in cause ? cause.code : undefined);
  return sentence === undefined ? cause : new ListenError(sentence, { cause });
}

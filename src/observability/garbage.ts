/**
 * Collects garbage when it is known that there is much of it. Left alone, V8 lets what large answers leave behind grow to
 * some 200 MB before it looks at it, though no more than a fifth of that is in use.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** After so much: a collection takes some 30 ms, and to make so much takes a second. */
const COLLECT_AFTER_BYTES = 64 * 1_048_576;

let collect: (() => void) | null = null;

export class Garbage {
  #bytes = 0;

  /** Told of what large answers took and is in use no more. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < COLLECT_AFTER_BYTES) return;
    this.#bytes = 0;
    // Not now: what is to be collected is still in use by whoever tells of it.
    setImmediate(collectNow);
  }
}

function collectNow(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  collect();
}

/**
 * Connections for which bytes wait and that take none are closed. What counts is what the kernel took: timers of idleness
 * begin anew with each write of our own, so that a caller who keeps on asking and reads nothing would never be idle.
 */
import type { Socket } from 'node:net';

/** How long a connection may take nothing of what waits for it. */
export const STALLED_MS = 20_000;

/** How often it is looked at a connection in that time. */
const LOOKS = 20;

interface Watched {
  /** Of the latest answer that was written. */
  requestId: string;
  /** Bytes that the kernel took since the connection began, and those of the write under way that it did not. */
  taken: number;
  queued: number;
  sinceMs: number;
}

/** Told before a connection is closed. `bytes`: that wait for it. */
export type OnStalled = (bytes: number, requestId: string) => void;

export class StalledConnections {
  readonly #stalledMs: number;
  readonly #onStalled: OnStalled;
  readonly #watched = new Map<Socket, Watched>();
  #timer: NodeJS.Timeout | null = null;

  constructor(stalledMs: number, onStalled: OnStalled) {
    this.#stalledMs = stalledMs;
    this.#onStalled = onStalled;
  }

  /** Once an answer was written: most are taken at once, and then there is nothing to watch. */
  watch(socket: Socket, requestId: string): void {
    if (socket.destroyed || socket.writableLength === 0) return;
    const known = this.#watched.get(socket);
    if (known !== undefined) {
      known.requestId = requestId;
      return;
    }
    this.#watched.set(socket, { requestId, ...progressOf(socket), sinceMs: performance.now() });
    // One timer for all of them, while there are any.
    this.#timer ??= setInterval(() => this.#look(), Math.max(1, this.#stalledMs / LOOKS)).unref();
  }

  close(): void {
    this.#watched.clear();
    this.#stop();
  }

  #look(): void {
    const nowMs = performance.now();
    for (const [socket, watched] of this.#watched) {
      if (socket.destroyed || socket.writableLength === 0) {
        this.#watched.delete(socket);
        continue;
      }
      const { taken, queued } = progressOf(socket);
      if (taken > watched.taken || queued < watched.queued) watched.sinceMs = nowMs;
      watched.taken = taken;
      watched.queued = queued;
      if (nowMs - watched.sinceMs < this.#stalledMs) continue;
      this.#watched.delete(socket);
      this.#onStalled(socket.writableLength, watched.requestId);
      socket.destroy();
    }
    if (this.#watched.size === 0) this.#stop();
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** Of the write under way libuv knows how much the kernel took; of those before it all was, of those after it nothing. */
function progressOf(socket: Socket): Pick<Watched, 'taken' | 'queued'> {
  const { _handle: handle } = socket as { readonly _handle?: { readonly writeQueueSize?: number } | null };
  return { taken: socket.bytesWritten - socket.writableLength, queued: handle?.writeQueueSize ?? 0 };
}

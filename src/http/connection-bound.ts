/**
 * At most so many connections are open at once. Where one more comes, the caller that holds the most gives one up: who
 * opens thousands and leaves them closes his own, and everybody else is served. A caller is a block of addresses, as the
 * log has it.
 */
import type { Socket } from 'node:net';

export interface Connections {
  readonly max: number;
  /** Whether no request of it waits for its answer. */
  readonly isIdle: (socket: Socket) => boolean;
  /** Called for each connection that was closed to keep the bound. */
  readonly onClosed: () => void;
}

/**
 * A connection in its caller's list. Not a Set of sockets: each time that one grows or shrinks, V8 leaves its former table
 * in old memory, and with it all that its sockets reach.
 */
interface Entry {
  socket: Socket | null;
  readonly holder: Holder;
  older: Entry | null;
  newer: Entry | null;
}

interface Holder {
  readonly caller: string;
  count: number;
  oldest: Entry | null;
  newest: Entry | null;
}

export class ConnectionBound {
  readonly #connections: Connections;
  readonly #holders = new Map<string, Holder>();
  #count = 0;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** Until the connection is closed. Closes another one, or this, where there are too many. */
  add(socket: Socket, caller: string): void {
    const holder = this.#holders.get(caller) ?? { caller, count: 0, oldest: null, newest: null };
    this.#holders.set(caller, holder);
    const entry: Entry = { socket, holder, older: holder.newest, newer: null };
    if (holder.newest === null) holder.oldest = entry;
    else holder.newest.newer = entry;
    holder.newest = entry;
    holder.count += 1;
    this.#count += 1;
    socket.once('close', () => this.#remove(entry));
    if (this.#count > this.#connections.max) this.#closeOne(entry);
  }

  #closeOne(newcomer: Entry): void {
    const largest = this.#largest(newcomer.holder);
    const closed = this.#oldestIdle(largest) ?? (largest === newcomer.holder ? null : largest.oldest) ?? newcomer;
    const { socket } = closed;
    // Before its `close` comes: what is being closed is not there to be chosen again.
    this.#remove(closed);
    socket?.destroy();
    this.#connections.onClosed();
  }

  #remove(entry: Entry): void {
    if (entry.socket === null) return;
    const { holder, older, newer } = entry;
    if (older === null) holder.oldest = newer;
    else older.newer = newer;
    if (newer === null) holder.newest = older;
    else newer.older = older;
    entry.socket = null;
    entry.older = null;
    entry.newer = null;
    holder.count -= 1;
    this.#count -= 1;
    if (holder.count === 0) this.#holders.delete(holder.caller);
  }

  #largest(newcomers: Holder): Holder {
    let largest = newcomers;
    for (const holder of this.#holders.values()) if (holder.count > largest.count) largest = holder;
    return largest;
  }

  #oldestIdle({ oldest }: Holder): Entry | null {
    for (let entry = oldest; entry !== null; entry = entry.newer) {
      if (entry.socket !== null && this.#connections.isIdle(entry.socket)) return entry;
    }
    return null;
  }
}

/**
 * The connection to Redis, made anew whenever it breaks. The client asks for its socket to end once nothing has moved on
 * it for a while, but what is sent counts as movement: a connection that swallows all that is sent every second would
 * stay for ever. So the time since the last answer is watched here, too. What is unanswered is bounded, in bytes.
 */
import { createClient } from 'redis';

/** A connection that has said nothing for so long, though it was asked, is broken. */
const SILENCE_MAX_MS = 4_000;
const CONNECT_TIMEOUT_MS = 1_000;
const RECONNECT_MAX_MS = 1_000;
/**
 * What a connection takes in one piece: the commands of some thousand requests. Once it is full the client sends no more
 * before the loop comes round, which with a thousand requests at once takes longer than a decision may wait.
 */
const SENT_AT_ONCE_BYTES = 4 * 1_048_576;
/** Sent or about to be, and not answered: some ten thousand requests. */
export const UNANSWERED_MAX_BYTES = 16 * 1_048_576;

/** Of the client's own and of Node's `net.connect` and `tls.connect`, not all of which its types name. */
const CONNECTION = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  socketTimeout: SILENCE_MAX_MS,
  highWaterMark: SENT_AT_ONCE_BYTES,
};

function newClient(url: string) {
  return createClient({
    url,
    // What can't be asked at once is not asked at all: the answer would come too late.
    disableOfflineQueue: true,
    socket: {
      ...CONNECTION,
      reconnectStrategy: (tries) => Math.min(50 * 2 ** Math.min(tries, 10), RECONNECT_MAX_MS),
    },
  });
}

type Client = ReturnType<typeof newClient>;

export class RedisConnection {
  readonly #url: string;
  readonly #silenceMaxMs: number;
  readonly #onLost: () => void;
  #client: Client;
  #unanswered = 0;
  #unansweredBytes = 0;
  #answers = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `onLost`: told when the connection breaks, each time. */
  constructor(url: string, onLost: () => void, silenceMaxMs = SILENCE_MAX_MS) {
    this.#url = url;
    this.#onLost = onLost;
    this.#silenceMaxMs = silenceMaxMs;
    this.#client = this.#create();
  }

  /** Never rejects: where Redis is out of reach, it goes on trying. Resolves at the first connection. */
  connect(): Promise<void> {
    return this.#client.connect().then(
      () => undefined,
      () => undefined,
    );
  }

  get isReady(): boolean {
    return this.#client.isReady;
  }

  /** Rejects where there is no connection, or it breaks or is given up before the answer, or too much is unanswered. */
  async send(command: readonly string[]): Promise<unknown> {
    const bytes = command.reduce((sum, word) => sum + word.length, 0);
    if (this.#unansweredBytes + bytes > UNANSWERED_MAX_BYTES) throw new Error('too much waits for Redis');
    if (this.#unanswered === 0) this.#listen();
    this.#unanswered += 1;
    this.#unansweredBytes += bytes;
    try {
      return await this.#client.sendCommand([...command]);
    } finally {
      this.#unanswered -= 1;
      this.#unansweredBytes -= bytes;
      this.#answers += 1;
      if (this.#unanswered === 0) clearTimeout(this.#timer);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    if (this.#client.isOpen) this.#client.destroy();
  }

  #create(): Client {
    const client = newClient(this.#url);
    client.on('error', () => {
      if (client === this.#client) this.#onLost();
    });
    return client;
  }

  /** Until an answer comes, and then for the next. */
  #listen(): void {
    const before = this.#answers;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // Between timers and immediates Node reads its sockets: what has arrived while this process was busy is heard first.
      setImmediate(() => {
        if (this.#unanswered === 0) return;
        if (this.#answers === before) this.#replace();
        else this.#listen();
      });
    }, this.#silenceMaxMs).unref();
  }

  /** Answers are told apart by their order alone: after one that never came, none of the old connection's can be trusted. */
  #replace(): void {
    const old = this.#client;
    if (!old.isOpen) return;
    this.#client = this.#create();
    old.destroy();
    this.#onLost();
    void this.connect();
  }
}

/** Windows in Redis or Valkey: one script and one round trip a step. Whoever calls decides how long to wait. */
import { createHash } from 'node:crypto';
import { createClient } from 'redis';
import type { ChargedRequest, Receipt, Taken } from './limiter.ts';
import { figure, readTaken, scripts, takeArguments } from './redis-script.ts';
import { within } from './within.ts';

/** A connection that has said nothing for so long, though it was asked every second, is broken. */
const SILENCE_MAX_MS = 4_000;
const CONNECT_TIMEOUT_MS = 1_000;
const RECONNECT_MAX_MS = 1_000;
/**
 * What a connection takes in one piece: the commands of some thousand requests. Once it is full the client sends no more
 * before the loop comes round, which with a thousand requests at once takes longer than a decision may wait.
 */
const SENT_AT_ONCE_BYTES = 4 * 1_048_576;
/** For Redis to hear that this gateway leaves; where it does not, the gateway is gone for the others a little later. */
const LEAVE_MS = 500;

/** Of the client's own and of Node's `net.connect` and `tls.connect`, not all of which its types name. */
const CONNECTION = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  socketTimeout: SILENCE_MAX_MS,
  highWaterMark: SENT_AT_ONCE_BYTES,
};

interface Script {
  readonly text: string;
  readonly sha: string;
}

const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') });
const TEXTS = scripts();
const SCRIPTS = {
  take: script(TEXTS.take),
  giveBack: script(TEXTS.giveBack),
  heartbeat: script(TEXTS.heartbeat),
  leave: script(TEXTS.leave),
};

export interface Heartbeat {
  readonly gateways: number;
  /** For so long Redis has counted all that any gateway let in. */
  readonly completeMs: number;
}

export class RedisWindows {
  readonly #client: ReturnType<typeof createClient>;
  readonly #prefix: string;
  readonly #gateway: string;

  /** `gateway`: an id of this process. `onLost`: told when the connection breaks, each time. */
  constructor(url: string, prefix: string, gateway: string, onLost: () => void) {
    this.#prefix = prefix;
    this.#gateway = gateway;
    this.#client = createClient({
      url,
      // What can't be asked at once is not asked at all: the answer would come too late.
      disableOfflineQueue: true,
      socket: {
        ...CONNECTION,
        reconnectStrategy: (tries) => Math.min(50 * 2 ** Math.min(tries, 10), RECONNECT_MAX_MS),
      },
    });
    this.#client.on('error', onLost);
  }

  /** Never rejects: where Redis is out of reach, it goes on trying. Resolves at the first connection. */
  connect(): Promise<void> {
    return this.#client.connect().then(
      () => undefined,
      () => undefined,
    );
  }

  /** One step for several requests of a group, one after the other; what came of each, in their order. */
  async take(group: string, requests: readonly ChargedRequest[]): Promise<readonly Taken[]> {
    const { keys, values } = takeArguments(requests);
    const inGroup = keys.map((key) => this.#key(group, key));
    return readTaken(group, requests, await this.#run(SCRIPTS.take, inGroup, values));
  }

  async giveBack({ group, redisSecond }: Receipt, key: string, amount: number): Promise<void> {
    const second = await redisSecond;
    if (second !== null) await this.#run(SCRIPTS.giveBack, [this.#key(group, key)], [String(second), figure(amount)]);
  }

  async heartbeat(state: 'new' | 'known' | 'incomplete'): Promise<Heartbeat> {
    const answer = await this.#run(SCRIPTS.heartbeat, [this.#gatewaysKey], [this.#gateway, state]);
    const [gateways = 1, completeMs = 0] = answer;
    return { gateways, completeMs };
  }

  /** How many keys Redis has thrown away for want of memory; null where it does not say. */
  async evictedKeys(): Promise<number | null> {
    const info: unknown = await this.#client.sendCommand(['INFO', 'stats']).catch(() => null);
    const found = /evicted_keys:(\d+)/.exec(String(info))?.[1];
    return found === undefined ? null : Number(found);
  }

  async close(): Promise<void> {
    if (this.#client.isReady) {
      const left = this.#run(SCRIPTS.leave, [this.#gatewaysKey], [this.#gateway]);
      await within(LEAVE_MS, left).catch(() => undefined);
    }
    if (this.#client.isOpen) this.#client.destroy();
  }

  get #gatewaysKey(): string {
    return `${this.#prefix}{gateways}`;
  }

  /** In braces stands what a cluster goes by: all windows of a network are in one place. */
  #key(group: string, key: string): string {
    return `${this.#prefix}{${group}}:${key}`;
  }

  async #run({ text, sha }: Script, keys: readonly string[], values: readonly string[]): Promise<number[]> {
    const rest = [String(keys.length), ...keys, ...values];
    try {
      return numbersIn(await this.#client.sendCommand(['EVALSHA', sha, ...rest]));
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return numbersIn(await this.#client.sendCommand(['EVAL', text, ...rest]));
    }
  }
}

function numbersIn(reply: unknown): number[] {
  return [reply].flat().map(Number);
}

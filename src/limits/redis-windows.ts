/** Windows in Redis or Valkey: one script and one round trip a step. Whoever calls decides how long to wait. */
import { createHash } from 'node:crypto';
import { readCount } from '../domain/unreadable.ts';
import type { ChargedRequest, Receipt, Taken } from './limiter.ts';
import { RedisConnection } from './redis-connection.ts';
import { figure, readTaken, scripts, takeArguments } from './redis-script.ts';
import { within } from './within.ts';

/** For Redis to hear that this gateway leaves; where it does not, the gateway is gone for the others a little later. */
const LEAVE_MS = 500;

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
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #gateway: string;

  /**
   * `gateway`: an id of this process. `onLost`: told when the connection breaks, each time. `silenceMaxMs`: after so long
   * without an answer it counts as broken; absent: four seconds.
   */
  constructor(url: string, prefix: string, gateway: string, onLost: () => void, silenceMaxMs?: number) {
    this.#prefix = prefix;
    this.#gateway = gateway;
    this.#connection = new RedisConnection(url, onLost, silenceMaxMs);
  }

  /** Never rejects: where Redis is out of reach, it goes on trying. Resolves at the first connection. */
  connect(): Promise<void> {
    return this.#connection.connect();
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
    const [gateways, completeMs] = await this.#run(SCRIPTS.heartbeat, [this.#gatewaysKey], [this.#gateway, state]);
    return {
      gateways: readCount(gateways, "Redis's count of gateways"),
      completeMs: readCount(completeMs, "Redis's count of gateways"),
    };
  }

  /** How many keys Redis has thrown away for want of memory; null where it does not say. */
  async evictedKeys(): Promise<number | null> {
    const info: unknown = await this.#connection.send(['INFO', 'stats']).catch(() => null);
    const found = /evicted_keys:(\d+)/.exec(String(info))?.[1];
    return found === undefined ? null : Number(found);
  }

  async close(): Promise<void> {
    if (this.#connection.isReady) {
      const left = this.#run(SCRIPTS.leave, [this.#gatewaysKey], [this.#gateway]);
      await within(LEAVE_MS, left).catch(() => undefined);
    }
    this.#connection.close();
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
      return numbersIn(await this.#connection.send(['EVALSHA', sha, ...rest]));
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return numbersIn(await this.#connection.send(['EVAL', text, ...rest]));
    }
  }
}

function numbersIn(reply: unknown): number[] {
  return [reply].flat().map(Number);
}

/**
 * The pool of a gateway, whose connections its callers share. A key has at most so many at once, a network at most half,
 * and one stays free for a network that has none: it waits for nobody. What a key asks for beyond its share waits in its
 * own queue. Verification has connections of its own. The grant is in `connect`, which is every way in: `query`,
 * transactions and Prisma go through it.
 */
import type pg from 'pg';
import { GatehouseError } from '../domain/errors.ts';
import { FairGate, type Full, type GateBounds, type Ticket } from '../domain/fair-gate.ts';
import type { Caller } from '../domain/fair-queue.ts';
import type { OnGiven } from '../domain/turns.ts';
import { BACKGROUND, currentCaller, resumedFor, URGENT } from './callers.ts';
import { currentSignal, underSignal } from './cancellation.ts';
import { ConnectionPool, type PoolEvents } from './connection-pool.ts';
import { PoolRefusal } from './faults.ts';
import type { PooledConfig } from './pooled-client.ts';

/** Statements that wait. */
const WAITING_MAX_OF_KEY = 500;
const WAITING_MAX_OF_NETWORK = 2_000;

/** Connections that the gateway's own work may always have. */
const BACKGROUND_MIN = 2;

/** Connections that only verification and readiness take. */
function reservedOf(size: number): number {
  return size < 8 ? 1 : 2;
}

/** In connections. */
export function sharesOf(size: number): GateBounds {
  const total = size - reservedOf(size);
  return {
    total,
    perNetwork: Math.max(1, Math.floor(total / 2)),
    perKey: Math.max(1, Math.floor(total / 4)),
    spare: total > 1 ? 1 : 0,
    waitingPerNetwork: WAITING_MAX_OF_NETWORK,
    waitingPerKey: WAITING_MAX_OF_KEY,
    own: new Map([[BACKGROUND.networkId, Math.max(BACKGROUND_MIN, total - 2)]]),
  };
}

type OnClient = Parameters<ConnectionPool['connect']>[0];

/** What `FairPool` is given beside a pool's own options. */
export interface FairPoolConfig extends PooledConfig {
  readonly max: number;
  /** How long a statement waits for a connection that other work of this gateway has. */
  readonly waitMs: number;
  /** Told of each connection that is given to a caller: for tests. */
  readonly onGrant?: OnGiven | undefined;
}

export class FairPool extends ConnectionPool {
  readonly #shared: FairGate;
  readonly #reserved: FairGate;
  /** The shared one, unless that has no room for two: retention holds a connection and asks for a second one. */
  readonly #background: FairGate;
  readonly #waitMs: number;
  readonly #onGrant: OnGiven | undefined;
  /** Of each connection that is out. */
  readonly #tickets = new WeakMap<pg.PoolClient, Ticket>();

  constructor({ waitMs, onGrant, ...config }: FairPoolConfig, events: PoolEvents = {}) {
    super(config, events);
    this.#waitMs = waitMs;
    this.#onGrant = onGrant;
    const shares = sharesOf(config.max);
    this.#shared = new FairGate(shares);
    const waiting = { waitingPerNetwork: WAITING_MAX_OF_NETWORK, waitingPerKey: WAITING_MAX_OF_KEY };
    const gateFor = (total: number) => new FairGate({ total, perNetwork: total, perKey: total, spare: 0, ...waiting });
    this.#reserved = gateFor(reservedOf(config.max));
    this.#background = shares.total < BACKGROUND_MIN ? gateFor(BACKGROUND_MIN) : this.#shared;
    this.on('release', (_error, client) => this.#released(client as pg.PoolClient));
  }

  /** On whose behalf a connection is out; null where it is not. */
  callerOf(client: pg.PoolClient): Caller | null {
    return this.#tickets.get(client)?.caller ?? null;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: NonNullable<OnClient>): void;
  override connect(callback?: OnClient): Promise<pg.PoolClient> | undefined {
    if (callback !== undefined) {
      this.#admit(currentCaller(), callback);
      return undefined;
    }
    const { promise, resolve, reject } = Promise.withResolvers<pg.PoolClient>();
    this.#admit(currentCaller(), (error, client) => (client === undefined ? reject(error) : resolve(client)));
    return promise;
  }

  #admit(caller: Caller, callback: NonNullable<OnClient>): void {
    const gate = this.#gateOf(caller);
    const now: Ticket = { caller, units: 1 };
    if (gate.enterNow(now)) {
      this.#connected(gate, now, 0, callback);
      return;
    }
    const full = gate.full(caller);
    if (full === null) this.#wait(gate, caller, callback);
    else callback(queueFull(full, gate.waitingOf(caller, full)), undefined, nothing);
  }

  #wait(gate: FairGate, caller: Caller, callback: NonNullable<OnClient>): void {
    const signal = currentSignal();
    const enteredBefore = gate.entered;
    const over = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    const onGranted = () => {
      over();
      const ahead = gate.entered - enteredBefore - 1;
      // In the course of whoever gave a connection back: the work goes on as its own.
      underSignal(signal, () => resumedFor(caller, () => this.#connected(gate, ticket, ahead, callback)));
    };
    const ticket: Ticket = { caller, units: 1, onGranted };
    const giveUp = (error: Error) => {
      if (!gate.giveUp(ticket)) return;
      over();
      underSignal(signal, () => resumedFor(caller, () => callback(error, undefined, nothing)));
    };
    const abort = () => giveUp(signal?.reason);
    const timer = setTimeout(() => giveUp(waitedTooLong(gate.isOwnShare(ticket), this.#waitMs)), this.#waitMs);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) over();
    if (signal?.aborted === true) callback(signal.reason, undefined, nothing);
    else gate.enqueue(ticket);
  }

  #connected(gate: FairGate, ticket: Ticket, ahead: number, callback: NonNullable<OnClient>): void {
    this.#onGrant?.(ticket.caller, ahead);
    super.connect((error, client, done) => {
      if (client === undefined) gate.leave(ticket);
      else this.#tickets.set(client, ticket);
      callback(error, client, done);
    });
  }

  #released(client: pg.PoolClient): void {
    const ticket = this.#tickets.get(client);
    if (ticket === undefined) return;
    this.#tickets.delete(client);
    this.#gateOf(ticket.caller).leave(ticket);
  }

  #gateOf(caller: Caller): FairGate {
    if (caller === URGENT) return this.#reserved;
    return caller === BACKGROUND ? this.#background : this.#shared;
  }
}

/** What stands for the release of a connection that was not given. */
const nothing = (): void => undefined;

function queueFull(full: Full, waiting: number): PoolRefusal {
  const whose = full === 'key' ? 'this key has' : 'this network has';
  return new PoolRefusal(
    new GatehouseError(
      'RATE_LIMITED',
      `Rate limit exceeded: ${whose} ${waiting} database queries waiting, which is the maximum; try again in 1 second`,
      {
        headers: { 'retry-after': '1' },
        extensions: { limit: { name: 'concurrency', scope: full, max: waiting }, retryAfterSeconds: 1 },
      },
    ),
  );
}

function waitedTooLong(isOwnShare: boolean, waitedMs: number): PoolRefusal {
  const seconds = Math.ceil(waitedMs / 1_000);
  const why = isOwnShare
    ? `for ${seconds} s, queries of this key or network have used its whole share of the database connections`
    : `for ${seconds} s, other work has used all database connections of this gateway`;
  return new PoolRefusal(
    new GatehouseError('SERVICE_UNAVAILABLE', `Service unavailable: ${why}`, { headers: { 'retry-after': '1' } }),
  );
}

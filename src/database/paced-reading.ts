/**
 * Large results, read in slices: parsing rows takes the event loop, and a socket that has much to give would keep it for
 * megabytes. After some of them a connection reads on when it is its caller's turn.
 */
import type { Socket } from 'node:net';
import type pg from 'pg';
import type { Caller } from '../domain/fair-queue.ts';
import type { Turns } from '../domain/turns.ts';
import { BACKGROUND, URGENT } from './callers.ts';

/** Some 2 ms of JSON. */
const SLICE_BYTES = 128 * 1_024;

/** `callerOf`: on whose behalf the connection is out; null where it is idle. */
export function paceReading(pool: pg.Pool, turns: Turns, callerOf: (client: pg.PoolClient) => Caller | null): void {
  pool.on('connect', (client) => {
    const { stream } = (client as unknown as { readonly connection: { readonly stream: Socket } }).connection;
    let bytes = 0;
    // The driver's own listener came before, and has parsed the chunk.
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes < SLICE_BYTES) return;
      bytes = 0;
      const caller = callerOf(client);
      if (caller === null || caller === URGENT || caller === BACKGROUND) return;
      const wait = turns.begin(caller);
      if (wait === null) return;
      stream.pause();
      void wait.then(() => stream.resume());
    });
  });
}

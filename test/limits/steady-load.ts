/** So many requests a second for a while, each sent when it is due, whatever became of those before it. */
import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { post, send } from '../support/raw-http.ts';
import { ME, type Target } from './flood.ts';

/** What takes longer hangs. */
const HANGS_MS = 5_000;
const CONNECTIONS = 64;

export interface Sent {
  readonly status: number;
  /** When, by `performance.now()`. */
  readonly sentMs: number;
  readonly gotMs: number;
}

/** To the targets in turn. Rejects where an answer hangs or breaks off. */
export async function steadily(targets: readonly Target[], forMs: number, perSecond: number): Promise<Sent[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const ask = async ({ url, token }: Target): Promise<Sent> => {
    const sentMs = performance.now();
    const { status } = await send(url, { ...post(token, ME), agent, signal: AbortSignal.timeout(HANGS_MS) });
    return { status, sentMs, gotMs: performance.now() };
  };
  const begun = performance.now();
  const asked: Promise<Sent>[] = [];
  const total = Math.floor((forMs * perSecond) / 1_000);
  while (asked.length < total) {
    const due = Math.min(total, Math.ceil(((performance.now() - begun) * perSecond) / 1_000));
    for (let index = asked.length; index < due; index += 1) {
      const target = targets[index % targets.length];
      if (target === undefined) throw new Error('nobody to send to');
      asked.push(ask(target));
    }
    await delay(5);
  }
  try {
    return await Promise.all(asked);
  } finally {
    agent.destroy();
  }
}

const MINUTE_MS = 60_000;

/** How many were let in, at the least, within the fullest 60 seconds: those that were sent and answered within them. */
export function mostInAnyMinute(sent: readonly Sent[]): number {
  const served = sent.filter(({ status }) => status === 200);
  const within = (fromMs: number) =>
    served.filter(({ sentMs, gotMs }) => sentMs >= fromMs && gotMs <= fromMs + MINUTE_MS);
  return Math.max(0, ...served.map(({ sentMs }) => within(sentMs).length));
}

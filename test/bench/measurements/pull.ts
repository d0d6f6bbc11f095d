/** A pull of members by the largest page, one page after the other, against COPY of the same columns. */
import assert from 'node:assert/strict';
import type { Race } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { COPY, copyMembers, PAGE, pullPage } from './pulling.ts';

export async function pull(stage: Stage): Promise<Race> {
  const url = await stage.start('gateway');
  // A whole pull of a million would take longer than a turn: each turn goes on where the last one stopped.
  let after: string | null = null;
  async function page(): Promise<number> {
    const { nodes, next } = await pullPage(stage, url, after);
    after = next;
    return nodes.length;
  }
  const copy = () => copyMembers(stage);
  assert.equal(await page(), PAGE);
  assert.equal(await copy(), stage.community.members);
  return {
    title: `a pull by ${PAGE}, one client`,
    unit: 'rows/s',
    gateway: { name: 'Gatehouse', rate: (ms) => rateOf(page, ms) },
    rivals: [{ ...COPY, rate: (ms) => rateOf(copy, ms) }],
  };
}

/** Rows a second, over as many turns as begin within the time. */
async function rateOf(work: () => Promise<number>, ms: number): Promise<number> {
  const start = performance.now();
  let rows = 0;
  while (performance.now() - start < ms) rows += await work();
  return (rows / (performance.now() - start)) * 1_000;
}

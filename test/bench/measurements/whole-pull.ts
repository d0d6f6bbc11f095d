/** All members, from the first to the last, by the largest page: against COPY, and what memory it takes. */
import assert from 'node:assert/strict';
import type { Result } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { perSecond } from './clock.ts';
import { flatness } from './flatness.ts';
import { COPY, copyMembers, PAGE, type PulledPage, pullPage } from './pulling.ts';

/** To be run before anything else, on a gateway that has had nothing to do: its memory is looked at. */
export async function wholePull(stage: Stage): Promise<Result[]> {
  const { community, start, peakMb, signal } = stage;
  const url = await start('gateway');
  let [rows, peakEarlyMb]: [number, number | null] = [0, null];
  async function pull(): Promise<number> {
    let [after, last]: [string | null, string] = [null, ''];
    do {
      signal.throwIfAborted();
      const { nodes, next }: PulledPage = await pullPage(stage, url, after);
      for (const { id } of nodes) {
        // Ids rise, so what is counted is counted once.
        assert.ok(id > last);
        last = id;
      }
      rows += nodes.length;
      peakEarlyMb ??= rows < community.members / 2 ? null : await peakMb('gateway');
      after = next;
    } while (after !== null);
    return rows;
  }
  const [ours, theirs] = [await perSecond(pull), await perSecond(() => copyMembers(stage))];
  assert.equal(rows, community.members);
  const title = `a pull of all ${rows.toLocaleString('en')} members by ${PAGE}, one client`;
  const rate = {
    title,
    unit: 'rows/s',
    gateway: { name: 'Gatehouse', rates: [ours] },
    rivals: [{ ...COPY, rates: [theirs] }],
  };
  const peaks = { early: peakEarlyMb, late: await peakMb('gateway') };
  return [rate, ...flatness("the gateway's memory over it, at most", ['after half of it', 'at its end'], peaks)];
}

/** A log whose reader is slow: what waits is bounded, and what was dropped is said. */
import { expect, test } from 'vitest';
import { BoundedDestination } from '../../src/observability/bounded-destination.ts';
import { createLogger } from '../../src/observability/logger.ts';

const MAX = 10_000;

/** A stream that writes nothing until it is told to. */
function slowStream() {
  const waiting: string[] = [];
  const written: string[] = [];
  return {
    get writableLength() {
      return waiting.reduce((sum, line) => sum + line.length, 0);
    },
    write: (line: string) => waiting.push(line),
    flush: () => written.push(...waiting.splice(0)),
    written,
  };
}

test('what waits for a slow reader is bounded, and how many lines were dropped is said when there is room again', () => {
  const stream = slowStream();
  const log = createLogger('info', new BoundedDestination(stream, MAX));
  for (let at = 0; at < 1_000; at += 1) log.info({ at }, 'request');
  expect(stream.writableLength).toBeLessThanOrEqual(MAX);
  stream.flush();
  const kept = stream.written.length;
  log.info({ at: 1_000 }, 'request');
  stream.flush();
  const lines = stream.written.map((line) => JSON.parse(line));
  // The first ones, whole and in their order; then the notice, and what came after it.
  expect(lines.slice(0, kept).map(({ at }) => at)).toEqual(Array.from({ length: kept }, (_, at) => at));
  expect(lines.slice(kept)).toMatchObject([
    { level: 'warn', dropped: 1_000 - kept, msg: expect.stringMatching(/^log lines dropped/) },
    { at: 1_000 },
  ]);
});

test('while it stays full there is one notice for each time that half of it was written', () => {
  const stream = slowStream();
  const destination = new BoundedDestination(stream, MAX);
  const line = `${JSON.stringify({ msg: 'x'.repeat(100) })}\n`;
  for (let at = 0; at < 1_000; at += 1) destination.write(line);
  stream.flush();
  for (let at = 0; at < 1_000; at += 1) destination.write(line);
  stream.flush();
  const notices = stream.written.filter((text) => text.includes('log lines dropped'));
  expect(notices).toHaveLength(1);
});

test('nothing is dropped of what a quick reader takes', () => {
  const stream = slowStream();
  const destination = new BoundedDestination(stream, MAX);
  for (let at = 0; at < 1_000; at += 1) {
    destination.write('a line\n');
    stream.flush();
  }
  expect(stream.written).toEqual(Array(1_000).fill('a line\n'));
});

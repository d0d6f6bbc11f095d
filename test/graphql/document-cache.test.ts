// However many documents callers send, and however long: what is kept of them is bounded.
import { describe, expect, test } from 'vitest';
import { DOCUMENTS_MAX_CHARACTERS, DocumentCache } from '../../src/graphql/document-cache.ts';

/** How many of these are still there. */
function kept(cache: DocumentCache<object>, texts: readonly string[]): number {
  return texts.filter((text) => cache.get(text) !== undefined).length;
}

function texts(count: number, characters: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index).padEnd(characters, ' '));
}

function filledWith(all: readonly string[]): DocumentCache<object> {
  const cache = new DocumentCache<object>();
  for (const text of all) cache.set(text, {});
  return cache;
}

describe('keeps at the most', () => {
  test.for([
    ['so many documents', 1_100, 20, 1_000],
    ['so many characters of all', 1_100, 10_000, DOCUMENTS_MAX_CHARACTERS / 10_000],
    ['none that is longer', 5, 10_001, 0],
  ] as const)('%s', ([, count, characters, left]) => {
    const all = texts(count, characters);
    expect(kept(filledWith(all), all)).toBe(left);
  });
});

test('one that is set again counts once', () => {
  const all = texts(DOCUMENTS_MAX_CHARACTERS / 10_000, 10_000);
  expect(kept(filledWith([...all, ...all, ...all]), all)).toBe(all.length);
});

test('the least recently used goes first', () => {
  const all = texts(1_000, 10);
  const cache = filledWith(all);
  cache.get(all[0] ?? '');
  cache.set('one more', {});
  expect([cache.get(all[0] ?? ''), cache.get(all[1] ?? '')]).toEqual([{}, undefined]);
});

import { describe, expect, test } from 'vitest';
import { readJsonl } from '../../src/services/members/read-jsonl.ts';
import { detectFormat, NOT_UTF8, RECORD_MAX_BYTES } from '../../src/services/members/source.ts';
import { inChunks, recordsOf } from './members.ts';

const read = (content: string | Buffer, chunkBytes?: number): Promise<unknown[]> =>
  recordsOf(readJsonl(inChunks(content, chunkBytes)));

describe('JSON Lines', () => {
  test('a byte order mark, CR LF, blank lines, a last line without an end, any cut', async () => {
    const jsonl = '\ufeff{"name":"Åsa 🎉"}\r\n\r\n  \n{"name":"B","tags":["x"]}';
    for (const chunkBytes of [1, 2, 3, 7, 65_536]) {
      expect(await read(jsonl, chunkBytes)).toEqual([
        [1, { name: 'Åsa 🎉' }],
        [4, { name: 'B', tags: ['x'] }],
      ]);
    }
    expect(await read('')).toEqual([]);
  });

  test('a line at fault is rejected with its number, none of it is shown, and reading goes on', async () => {
    const latin1 = Buffer.from('{"name":"Åsa"}\n', 'latin1');
    const jsonl = Buffer.concat([
      Buffer.from('{"SECRET"\n[1]\n"x"\nnull\n7\n{"a":1,}\n'),
      latin1,
      Buffer.from('{"name":"A"}\n'),
    ]);
    const records = await read(jsonl);
    expect(records).toEqual([
      [1, expect.stringMatching(/^is not valid JSON/)],
      [2, 'is no JSON object'],
      [3, 'is no JSON object'],
      [4, 'is no JSON object'],
      [5, 'is no JSON object'],
      [6, 'is not valid JSON (at character 8)'],
      [7, NOT_UTF8],
      [8, { name: 'A' }],
    ]);
    expect(JSON.stringify(records)).not.toContain('SECRET');
  });

  test('a line of any length costs no more memory than a record may have', async () => {
    const long = `{"name":"${'x'.repeat(2 * RECORD_MAX_BYTES)}"}`;
    expect(await read(`${long}\n{"name":"A"}\n${long}`)).toEqual([
      [1, 'is larger than 262144 bytes'],
      [2, { name: 'A' }],
      [3, 'is larger than 262144 bytes'],
    ]);
  });

  test('a line as deep as it is long', async () => {
    const [record] = await read(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}\n`);
    expect(record).toBeDefined();
  });

  test('a JSON array is refused as a whole, with what to do', async () => {
    await expect(read('[{"name":"A"},\n{"name":"B"}]')).rejects.toThrow('write one object a line');
  });
});

describe('the format of what has no name', () => {
  test.each([
    ['{"email":"a@x"}', 'jsonl'],
    ['\ufeff\r\n {"email":"a@x"}', 'jsonl'],
    ['[{"email":"a@x"}]', 'jsonl'],
    ['email,name\n', 'csv'],
    ['\ufeff"email";"name"\n', 'csv'],
    ['', 'csv'],
    ['\n\n', 'csv'],
  ])('%j is %s, and nothing of it is lost', async (content, format) => {
    for (const chunkBytes of [1, 5, 65_536]) {
      const detected = await detectFormat(inChunks(content, chunkBytes));
      const bytes: Uint8Array[] = [];
      for await (const chunk of detected.source) bytes.push(chunk);
      expect([detected.format, Buffer.concat(bytes).toString()]).toEqual([format, content]);
    }
  });
});

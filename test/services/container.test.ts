/** Packed files, encodings, and files that are no text. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { unpack } from '../../src/services/members/container.ts';
import { readCsv } from '../../src/services/members/read-csv.ts';
import { inChunks, recordsOf } from './members.ts';

async function unpacked(content: Buffer, chunkBytes?: number): Promise<{ text: string; isCompressed: boolean }> {
  const { source, isCompressed } = await unpack(inChunks(content, chunkBytes));
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return { text: Buffer.concat(chunks).toString(), isCompressed };
}

describe('gzip', () => {
  const csv = `email,name\n${Array.from({ length: 2_000 }, (_, index) => `${index}@x.org,Nr ${index}\n`).join('')}`;

  test('is unpacked, however it is cut, and in several members', async () => {
    const packed = Buffer.concat([gzipSync(csv.slice(0, 1_000)), gzipSync(csv.slice(1_000))]);
    for (const chunkBytes of [1, 7, 65_536]) {
      expect(await unpacked(packed, chunkBytes)).toEqual({ text: csv, isCompressed: true });
    }
  });

  test.each([11, 200, 1])('that is cut short by %d bytes is said to be so', async (missing) => {
    const packed = gzipSync(csv);
    await expect(unpacked(packed.subarray(0, packed.length - missing))).rejects.toThrow(
      'The gzip data is cut short: the file is not complete',
    );
  });

  test('that is damaged is said to be so', async () => {
    const packed = gzipSync(csv);
    packed.fill(0, 100, 200);
    await expect(unpacked(packed)).rejects.toThrow('The gzip data is damaged');
  });

  test('that unpacks to far more than memory holds comes in small parts', async () => {
    const packed = gzipSync(Buffer.alloc(64 * 1_048_576));
    const { source } = await unpack(inChunks(packed));
    let bytes = 0;
    for await (const chunk of source) {
      expect(chunk.byteLength).toBeLessThanOrEqual(65_536);
      bytes += chunk.byteLength;
    }
    expect(bytes).toBe(64 * 1_048_576);
  });

  test('a source that fails is not taken for a damaged one', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield gzipSync(csv).subarray(0, 500);
      throw new Error('the disk is gone');
    }
    const { source } = await unpack(failing());
    await expect(recordsOf(readCsv(source))).rejects.toThrow('the disk is gone');
  });
});

describe('what is no text', () => {
  const zip = (name: string): Buffer =>
    Buffer.concat([
      Buffer.from('PK\u0003\u0004\u0014\0\u0006\0\u0008\0\0\0!\0', 'latin1'),
      Buffer.alloc(14),
      Buffer.from(name),
    ]);

  test.each([
    ['a workbook of Excel', zip('[Content_Types].xml')],
    ['a workbook of LibreOffice', zip('mimetypeapplication/vnd.oasis.opendocument.spreadsheet')],
    ['a workbook of an older Excel', Buffer.from('d0cf11e0a1b11ae10000', 'hex')],
  ])('%s is refused with how to save it as CSV', async (_what, content) => {
    await expect(unpacked(content)).rejects.toThrow('File > Save As > CSV UTF-8 (Comma delimited) (*.csv)');
  });

  test('another archive is to be unpacked', async () => {
    await expect(unpacked(zip('members.csv'))).rejects.toThrow('This is a ZIP archive: unpack it');
  });

  test.each(['', 'P', 'PK', 'email,name\n'])('%j is text', async (text) => {
    expect(await unpacked(Buffer.from(text))).toEqual({ text, isCompressed: false });
  });
});

describe('encodings', () => {
  const read = (content: Buffer, encoding?: string, chunkBytes?: number): Promise<unknown[]> =>
    recordsOf(readCsv(inChunks(content, chunkBytes), { encoding }));

  test.each([
    ['windows-1252', Buffer.from('email,name\na@x,Ren\xe9 \x80 \x93x\x94\n', 'latin1'), 'René € “x”'],
    ['iso-8859-1', Buffer.from('email,name\na@x,Ren\xe9\n', 'latin1'), 'René'],
    ['windows-1251', Buffer.from('email,name\na@x,\xc8\xe2\xe0\xed\n', 'latin1'), 'Иван'],
    ['utf-16le', Buffer.from('email,name\na@x,Åsa 🎉\n', 'utf16le'), 'Åsa 🎉'],
    ['utf-16be', Buffer.from('email,name\na@x,Åsa 🎉\n', 'utf16le').swap16(), 'Åsa 🎉'],
    ['utf-16le', Buffer.from('\ufeffemail,name\na@x,Åsa\n', 'utf16le'), 'Åsa'],
    ['utf-8', Buffer.from('\ufeffemail,name\na@x,Åsa\n'), 'Åsa'],
    ['shift_jis', Buffer.from('656d61696c2c6e616d650a6140782c936392860a', 'hex'), '田中'],
  ])('%s', async (encoding, content, name) => {
    for (const chunkBytes of [1, 2, 5, 65_536]) {
      expect(await read(content, encoding, chunkBytes)).toEqual([[2, { email: 'a@x', name }]]);
    }
  });

  test('a row with bytes that are not in the encoding is rejected, and says which one', async () => {
    const content = Buffer.concat([
      Buffer.from('email,name\na@x,A'),
      Buffer.of(0x81, 0xff),
      Buffer.from('\nb@x,Bob\n'),
    ]);
    expect(await read(content, 'shift_jis')).toEqual([
      [2, 'is not valid shift_jis'],
      [3, { email: 'b@x', name: 'Bob' }],
    ]);
    expect(await read(content)).toEqual([
      [2, 'is not valid UTF-8 or UTF-16: name the encoding of the file, as in --encoding windows-1252'],
      [3, { email: 'b@x', name: 'Bob' }],
    ]);
  });
});

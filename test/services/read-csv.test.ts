import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { csvRow } from '../../src/services/members/csv-cell.ts';
import { CLOSING_QUOTE, OPEN_QUOTE, SPLIT_QUOTES } from '../../src/services/members/csv-scanner.ts';
import { readCsv } from '../../src/services/members/read-csv.ts';
import { NOT_UTF8, RECORD_MAX_BYTES } from '../../src/services/members/source.ts';
import { inChunks, recordsOf } from './members.ts';

const read = (content: string | Buffer, chunkBytes?: number): Promise<unknown[]> =>
  recordsOf(readCsv(inChunks(content, chunkBytes)));

/** Each cut of the bytes into chunks must give the same records. */
async function readCut(content: string | Buffer): Promise<unknown[]> {
  const whole = await read(content);
  for (const chunkBytes of [1, 2, 3, 7, 64]) expect(await read(content, chunkBytes)).toEqual(whole);
  return whole;
}

const ADA = { email: 'a@x', name: 'Ada' };
const BOB = { email: 'b@x', name: 'Bob' };

describe('as files are in the world', () => {
  test('a byte order mark, CR LF, line breaks in quoted cells, blank lines and rows', async () => {
    const csv =
      '\ufeffemail,name,team\r\n\r\na@x,Ada,"two\r\nlines"\r\n\r\n,,\r\nb@x,Bob\r\nc@x,"Cy ""the"" C",x,,\r\n';
    expect(await readCut(csv)).toEqual([
      [3, 4, { ...ADA, team: 'two\r\nlines' }],
      [7, BOB],
      [8, { email: 'c@x', name: 'Cy "the" C', team: 'x' }],
    ]);
  });

  test.each(['\n', '\r\n', '\r'])('lines that end in %j, the last one too or not', async (end) => {
    for (const last of ['', end, end + end]) {
      const csv = ['email,name', 'a@x,Ada', 'b@x,Bob'].join(end) + last;
      expect(await readCut(csv)).toEqual([
        [2, ADA],
        [3, BOB],
      ]);
    }
  });

  test('all kinds of line ends in one file', async () => {
    expect(await readCut('email,name\na@x,Ada\r\nb@x,Bob\rc@x,"Cy\rL"\nd@x,D')).toEqual([
      [2, ADA],
      [3, BOB],
      [4, 5, { email: 'c@x', name: 'Cy\rL' }],
      [6, { email: 'd@x', name: 'D' }],
    ]);
  });

  test.each([',', ';', '\t'])('%j between the cells, told by the header', async (delimiter) => {
    const csv = 'name|Email|tags\nAda|a@x|"a;b"\n'.replaceAll('|', delimiter);
    expect(await readCut(csv)).toEqual([[2, { ...ADA, tags: ['a', 'b'] }]]);
  });

  test("UTF-16, a spreadsheet's Unicode text", async () => {
    const csv = Buffer.from('\ufeffemail\tname\r\na@x\tÅsa 🎉\r\n', 'utf16le');
    const records = [[2, { email: 'a@x', name: 'Åsa 🎉' }]];
    expect(await readCut(csv)).toEqual(records);
    expect(await readCut(csv.swap16())).toEqual(records);
  });

  test('a quote inside an unquoted cell is a character of it', async () => {
    expect(await readCut('email,name,size\na@x,Robert "Bob" S,5" pipe\nb@x,Bob,"6"" pipe"\n')).toEqual([
      [2, { email: 'a@x', name: 'Robert "Bob" S', size: '5" pipe' }],
      [3, { ...BOB, size: '6" pipe' }],
    ]);
  });

  test('blanks around a quoted cell are no part of it, and no reason to part it', async () => {
    expect(await readCut('email,name,city\na@x, "Byron, Ada", London\nb@x,"Bob"\t,\n')).toEqual([
      [2, { email: 'a@x', name: 'Byron, Ada', city: ' London' }],
      [3, BOB],
    ]);
  });

  test.each(['sep=;\n', 'sep=|\r\n', '\r\nSEP=\t\r\n'])('a first line %j names the delimiter', async (first) => {
    const delimiter = first.trimStart().charAt(4);
    const csv = `${first}${['email', 'name', 'a,b'].join(delimiter)}\na@x${delimiter}"Ada ${delimiter} A"\n`;
    const header = first.split('\n').length;
    expect(await readCut(csv)).toEqual([[header + 1, { email: 'a@x', name: `Ada ${delimiter} A` }]]);
  });

  test('a quoted column name may hold a delimiter or a line break', async () => {
    const csv = '"first;\nsecond",email,"name"\nx,a@x,Ada\n';
    expect(await readCut(csv)).toEqual([[3, { ...ADA, 'first;\nsecond': 'x' }]]);
  });

  test('a known column in any case, unless another one has its exact name', async () => {
    expect(await readCut('EMAIL,Name,ExternalID\na@x,Ada,1\n')).toEqual([[2, { ...ADA, externalId: '1' }]]);
    expect(await readCut('email,name,Email\na@x,Ada,other\n')).toEqual([[2, { ...ADA, Email: 'other' }]]);
  });

  test('a column named __proto__', async () => {
    const [record] = await read('email,name,__proto__\na@x,Ada,x\n');
    expect(JSON.stringify(record)).toBe('[2,{"email":"a@x","name":"Ada","__proto__":"x"}]');
  });
});

describe('a row at fault is rejected with its physical line, and reading goes on with the next', () => {
  test('a quote that closes in the middle takes the lines with it that it seemed to swallow', async () => {
    expect(await readCut('email,name\n"a@x,Ada\nb@x,"Bob"\nc@x,"C"x\nd@x,D\n')).toEqual([
      [2, 3, CLOSING_QUOTE],
      [4, CLOSING_QUOTE],
      [5, { email: 'd@x', name: 'D' }],
    ]);
  });

  test('a quote that never closes takes the rest of the file with it', async () => {
    expect(await readCut('email,name\na@x,"Ada\nb@x,Bob\n')).toEqual([[2, 3, OPEN_QUOTE]]);
    expect(await readCut('email,name\na@x,"Ada\nb@x,Bob')).toEqual([[2, 3, OPEN_QUOTE]]);
    expect(await readCut('email,name\na@x,"')).toEqual([[2, OPEN_QUOTE]]);
  });

  test('quotes in two unquoted cells, between which a delimiter may have been meant as text', async () => {
    expect(await readCut('email,name,x\na@x,Ada "Byron, A" King\nb@x,Bob,5" pipe\n')).toEqual([
      [2, SPLIT_QUOTES],
      [3, { ...BOB, x: '5" pipe' }],
    ]);
  });

  test('cells beyond the header, unless they are empty', async () => {
    expect(await readCut('email,name\na@x,Ada,,\nb@x,Bob,x\n')).toEqual([
      [2, ADA],
      [3, 'cell 3 stands under no column name: the row has 3 cells, the header 2 columns'],
    ]);
  });

  test('bytes that are no UTF-8, with the option that names their encoding', async () => {
    const latin1 = Buffer.from('email,name\na@x,Åsa\nb@x,Bob\n', 'latin1');
    expect(await readCut(latin1)).toEqual([
      [2, NOT_UTF8],
      [3, BOB],
    ]);
  });

  test.each([
    ['the second half of a surrogate pair', '\udc00'],
    ['the first half', '\ud800'],
    ['both halves in the wrong order', '\udc00\ud800'],
  ])('a row of UTF-16 with %s', async (_what, damage) => {
    const csv = Buffer.from(`\ufeffemail,name\na@x,A${damage}da\nb@x,B\u{1f389}b\n`, 'utf16le');
    const records = [
      [2, NOT_UTF8],
      [3, { email: 'b@x', name: 'B\u{1f389}b' }],
    ];
    expect(await readCut(csv)).toEqual(records);
    expect(await readCut(csv.swap16())).toEqual(records);
  });

  test('a file of UTF-16 that is cut inside of a character', async () => {
    const csv = Buffer.from('\ufeffemail,name\nb@x,Bob\na@x,Ada \u{1f389}', 'utf16le');
    for (const cut of [1, 2, 3]) {
      expect(await readCut(csv.subarray(0, csv.length - cut))).toEqual([
        [2, BOB],
        [3, NOT_UTF8],
      ]);
    }
  });

  test.each([
    ['one long line', 'x'.repeat(2 * RECORD_MAX_BYTES)],
    ['a row of commas', ','.repeat(2 * RECORD_MAX_BYTES)],
  ])('more bytes than a record may have: %s', async (_what, line) => {
    expect(await read(`email,name\na@x,Ada\n${line}\r\nb@x,Bob\n`)).toEqual([
      [2, ADA],
      [3, 'is larger than 262144 bytes (or a quote is left open)'],
      [4, BOB],
    ]);
  });

  test('a quote left open before more lines than a record may hold, as far as the line of the next quote', async () => {
    const rows = Array.from({ length: 40_000 }, (_, index) => `${index}@x.org,Nr`);
    expect(await read(`email,name\n"a@x,Ada\n${rows.join('\n')}\nb@x,"Bob"\nc@x,C\n`)).toEqual([
      [2, 40_003, 'is larger than 262144 bytes (or a quote is left open)'],
      [40_004, { email: 'c@x', name: 'C' }],
    ]);
  });
});

describe('nobody is made a member out of the inside of a quoted cell', () => {
  const MALLORY = 'mallory@x,Mallory';
  const NOTE = `"he wrote:\n${MALLORY}\nand left"`;

  test.each([
    ['a quote in an unquoted cell', `a@x,Ada "A" B,${NOTE}`],
    ['one quote in an unquoted cell', `a@x,Ada 5" B,${NOTE}`],
    ['blanks before the quote', `a@x, "Ada" , ${NOTE}`],
    ['text behind the closing quote', `a@x,"Ada"B,${NOTE}`],
    ['text behind two quotes', `a@x,""Ada"",${NOTE}`],
    ['quotes escaped by backslashes', `${String.raw`a@x,"Ada \"A\" B",`}${NOTE}`],
    ['a quote before the first cell', `"a@x,Ada,${NOTE}`],
    ['a quote before a cell', `a@x,"Ada,${NOTE}`],
    ['a quote behind a cell', `a@x,Ada",${NOTE}`],
    ['a fault in two cells', `a@x,"A"x,"c,${NOTE}`],
    ['a quote inside the cell', `a@x,Ada,"she "said" so ${NOTE}"`],
    ['a quote at its beginning', `a@x,Ada,"${NOTE}`],
    ['a quote at its end', `a@x,Ada,${NOTE}"`],
    ['a sentence in quotes', `a@x,Ada,"she said, "come" ${NOTE}`],
    ['a row of too many cells', `a@x,Ada,x,y,z,${NOTE}`],
  ])('%s', async (_what, row) => {
    const found = await readCut(`email,name,note\n${row}\nb@x,"Bob",""\nc@x,"C",""\nd@x,D\n`);
    expect(JSON.stringify(found)).not.toContain('"email":"mallory@x"');
    expect(found.at(-1)).toEqual([7, { email: 'd@x', name: 'D' }]);
  });

  test('with a stray quote anywhere, whatever else of the file is read', async () => {
    const cell = fc.constantFrom('Ada', '"B, A"', ' "C"', 'D "d" D', '""', NOTE, '"a""b"');
    const cells = fc.array(cell, { minLength: 3, maxLength: 3 });
    const rows = fc.array(cells, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(rows, fc.nat(), async (given, at) => {
        const body = given.map((row) => `a@x,${row.join(',')}\n`).join('');
        const place = at % body.length;
        // There it makes another row that RFC 4180 allows.
        fc.pre(!/[,\n]/.test(body.charAt(place)));
        const found = await read(`email,name,x,y\n${body.slice(0, place)}"${body.slice(place)}`);
        expect(JSON.stringify(found)).not.toContain('"email":"mallory@x"');
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a file that cannot be read under its header is refused as a whole', () => {
  test.each([
    ['', 'the file is empty: its first line must name the columns'],
    ['\n\n', 'the file is empty: its first line must name the columns'],
    ['post,name\n', 'the header lacks the required column email'],
    ['x\n', 'the header lacks the required column email and name'],
    ['email,name,team,team\n', 'the header names the column of cell 4 twice'],
    ['email,name,"x\na@x,Ada\n', 'the header has a quote that is never closed'],
  ])('%j', async (csv, message) => {
    await expect(read(csv)).rejects.toThrow(message);
  });

  test('a header without rows is a file without members', async () => {
    expect(await readCut('email,name\n')).toEqual([]);
    expect(await readCut('email,name')).toEqual([]);
  });
});

test('any cells come back from what csvRow writes, with the lines that they begin on, however they are cut', async () => {
  const cell = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom('"', ',', ';', '\n', '\r', '\t', ' ', 'x', '\u2028', '\ufeff') }),
  );
  const rows = fc.array(
    fc.tuple(cell, cell, cell).filter((cells) => cells.some((text) => text !== '')),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(rows, fc.integer({ min: 1, max: 40 }), async (given, chunkBytes) => {
      const texts = given.map((cells) => csvRow(['a@x', 'A', ...cells]));
      let line = 2;
      const expected = given.map((cells, index) => {
        const begins = line;
        line += (texts[index] ?? '').split(/\r\n|\n|\r/).length - 1;
        const custom = cells.map((text, at): [string, string] => [`c${at}`, text]).filter(([, text]) => text !== '');
        const lines = line - begins > 1 ? [begins, line - 1] : [begins];
        return [...lines, { email: 'a@x', name: 'A', ...Object.fromEntries(custom) }];
      });
      const csv = csvRow(['email', 'name', 'c0', 'c1', 'c2']) + texts.join('');
      expect(await read(csv, chunkBytes)).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test('no bytes at all make the reader fail, loop or disagree with itself over the cut', async () => {
  const piece = fc.constantFrom('"', ',', '\n', '\r\n', '\r', 'a', 'ä', 'a@x,A', '""', ';');
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 60 }), fc.integer({ min: 1, max: 9 }), async (pieces, chunkBytes) => {
      const csv = `email,name\n${pieces.join('')}`;
      expect(await read(csv, chunkBytes)).toEqual(await read(csv));
    }),
    { numRuns: 500 },
  );
});

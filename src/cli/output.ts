/**
 * What a command prints. Its answer goes to standard output: for people, or with --json as exactly one JSON document and
 * nothing else. All that is said beside it goes to standard error.
 */
import { stripVTControlCharacters } from 'node:util';

/** A list's column: its heading, and a row's cell in it. */
export type TableColumn<Row> = readonly [heading: string, cell: (row: Row) => string];

/** Whoever read the output has had enough (`| head`). */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/** With --json, the object around a list: what is known before it, and what its end tells. Neither is empty. */
export interface ListFrame {
  /** The list's own name. */
  readonly name: string;
  readonly before: Readonly<Record<string, unknown>>;
  readonly after: () => Readonly<Record<string, unknown>>;
}

function opened(object: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(object).slice(0, -1);
}

export class Output {
  readonly json: boolean;

  constructor(json: boolean) {
    this.json = json;
    // Every write hears of its own failure; without a listener Node would take it for unhandled.
    process.stdout.on('error', () => undefined);
  }

  /** The command's answer. */
  async answer(document: unknown, text: string): Promise<void> {
    await print(this.json ? `${JSON.stringify(document)}\n` : `${printable(text)}\n`);
  }

  /** Beside the answer: a notice, a warning, what went wrong. */
  note(text: string): void {
    process.stderr.write(`${printable(text)}\n`);
  }

  /** A part of an answer of any length. Throws ReaderGone where nobody reads on. */
  async stream(text: string): Promise<void> {
    try {
      await print(text);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EPIPE') throw new ReaderGone();
      throw error;
    }
  }

  /** A list of any length, page by page: a table, or with --json one array, in an object where there is more to say. */
  async list<Row>(
    pages: AsyncIterable<readonly Row[]>,
    document: (row: Row) => unknown,
    columns: readonly TableColumn<Row>[],
    frame: ListFrame | null = null,
  ): Promise<void> {
    let listed = 0;
    if (this.json) await this.stream(frame === null ? '[' : `${opened(frame.before)},${JSON.stringify(frame.name)}:[`);
    for await (const rows of pages) {
      if (rows.length === 0) continue;
      await this.stream(this.json ? jsonPage(rows, document, listed) : tablePage(rows, columns, listed));
      listed += rows.length;
    }
    const end = frame === null ? '' : `,${JSON.stringify(frame.after()).slice(1)}`;
    if (this.json) await this.stream(`${listed === 0 ? '' : '\n'}]${end}\n`);
    else if (listed === 0) this.note('There are none.');
  }
}

function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/** A terminal obeys control characters, and what is printed may come from a file or a database. */
function printable(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/[^\P{Cc}\n]/gu, '');
}

function jsonPage<Row>(rows: readonly Row[], document: (row: Row) => unknown, listed: number): string {
  return `${listed === 0 ? '' : ','}\n${rows.map((row) => JSON.stringify(document(row))).join(',\n')}`;
}

function tablePage<Row>(rows: readonly Row[], columns: readonly TableColumn<Row>[], listed: number): string {
  const headings = columns.map(([heading]) => heading);
  const lines = rows.map((row) => columns.map(([, cell]) => printable(cell(row)).replaceAll('\n', ' ')));
  const widths = columns.map((_, at) => Math.max(...[headings, ...lines].map((line) => width(line[at] ?? ''))));
  const shown = listed === 0 ? [headings, ...lines] : lines;
  return shown
    .map(
      (line) =>
        `${line
          .map((cell, at) => pad(cell, widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function pad(cell: string, columns: number): string {
  return cell + ' '.repeat(Math.max(0, columns - width(cell)));
}

const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uff01-\uff60]/u;
const NO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** How many columns of a terminal a text takes, nearly: East Asian characters and emoji take two, marks none. */
function width(text: string): number {
  let columns = 0;
  for (const character of text) columns += NO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return columns;
}

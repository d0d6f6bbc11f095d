/** JSON Lines: one object a line. Blank lines are skipped; of a key that stands twice in an object, the last counts. */
import { isUtf8 } from 'node:buffer';
import { JsonKeys } from './json-keys.ts';
import {
  damaged,
  RECORD_MAX_BYTES,
  type ReadOptions,
  SourceError,
  type SourceRecord,
  TOO_LARGE,
  toUtf8,
} from './source.ts';

const LF = 0x0a;
const NOTHING = Buffer.alloc(0);

/** Records in the order of their lines, as many at once as a chunk of the source holds. */
export async function* readJsonl(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions = {},
): AsyncGenerator<SourceRecord[]> {
  const reader = new JsonlReader(options);
  for await (const chunk of toUtf8(source, options.encoding)) yield reader.read(chunk);
  yield reader.end();
}

class JsonlReader {
  readonly #options: ReadOptions;
  readonly #keys: JsonKeys;
  /** The line under way. */
  #rest: Buffer = NOTHING;
  #line = 1;
  /** Whether the line under way was rejected for its size already. */
  #skipping = false;

  constructor(options: ReadOptions) {
    this.#options = options;
    this.#keys = new JsonKeys(options);
  }

  read(chunk: Buffer): SourceRecord[] {
    const records: SourceRecord[] = [];
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
      this.#take(bytes.subarray(start, end), records);
      start = end + 1;
    }
    this.#rest = bytes.subarray(start);
    if (this.#rest.length > RECORD_MAX_BYTES) this.#rejectRest(records);
    return records;
  }

  end(): SourceRecord[] {
    const records: SourceRecord[] = [];
    this.#take(this.#rest, records);
    this.#keys.end();
    return records;
  }

  #take(bytes: Buffer, records: SourceRecord[]): void {
    if (!this.#skipping) {
      const record = this.#parseLine(bytes, this.#line);
      if (record !== null) records.push(record);
    }
    this.#skipping = false;
    this.#line += 1;
  }

  #rejectRest(records: SourceRecord[]): void {
    if (!this.#skipping) records.push({ line: this.#line, fault: TOO_LARGE });
    this.#skipping = true;
    this.#rest = NOTHING;
  }

  /** Null for a blank line. */
  #parseLine(bytes: Buffer, line: number): SourceRecord | null {
    if (bytes.length > RECORD_MAX_BYTES) return { line, fault: TOO_LARGE };
    if (!isUtf8(bytes)) return { line, fault: damaged(this.#options.encoding) };
    const text = bytes.toString();
    if (text.trim() === '') return null;
    if (line === 1 && /^\s*\[/.test(text)) {
      throw new SourceError('this is a JSON array; write one object a line instead (`jq -c ".[]"` makes it so)');
    }
    const parsed = parseJson(text);
    if ('fault' in parsed) return { line, fault: parsed.fault };
    const { value } = parsed;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return { line, fault: 'is no JSON object' };
    return { line, ...this.#keys.fieldsOf(value) };
  }
}

function parseJson(text: string): { value: unknown } | { fault: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    // The error's own message quotes the line, which may hold what nobody should see.
    const position = /at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
    return {
      fault: position === undefined ? 'is not valid JSON' : `is not valid JSON (at character ${Number(position) + 1})`,
    };
  }
}

/**
 * Where log lines go when whoever reads them is slower than they come: what waits to be written is bounded, the lines
 * beyond that are dropped, and how many were is said as soon as there is room again.
 */

/** In characters of what waits in this process; the pipe behind it holds 64 KiB more. */
export const LOG_BACKLOG_MAX_CHARACTERS = 8 * 1_048_576;

/** A writable stream, as far as it concerns a log. */
export interface LogStream {
  /** What was written to it and is not out. */
  readonly writableLength: number;
  write(line: string): unknown;
}

export class BoundedDestination {
  readonly #stream: LogStream;
  readonly #maxCharacters: number;
  #dropped = 0;

  constructor(stream: LogStream, maxCharacters = LOG_BACKLOG_MAX_CHARACTERS) {
    this.#stream = stream;
    this.#maxCharacters = maxCharacters;
  }

  write(line: string): void {
    // Room for half of it: not a notice for every few lines while it stays full.
    const bound = this.#dropped === 0 ? this.#maxCharacters : this.#maxCharacters / 2;
    if (this.#stream.writableLength + line.length > bound) {
      this.#dropped += 1;
      return;
    }
    if (this.#dropped > 0) this.#stream.write(droppedLine(this.#dropped));
    this.#dropped = 0;
    this.#stream.write(line);
  }
}

function droppedLine(dropped: number): string {
  const line = {
    level: 'warn',
    time: new Date().toISOString(),
    dropped,
    msg: 'log lines dropped: their reader is too slow',
  };
  return `${JSON.stringify(line)}\n`;
}

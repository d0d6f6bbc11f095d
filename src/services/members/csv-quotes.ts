/** What a quote can mean in CSV, a byte at a time; and in a row at fault, all that it may have been meant for. */

export const LF = 0x0a;
export const CR = 0x0d;
export const QUOTE = 0x22;
const SPACE = 0x20;
const TAB = 0x09;

/** Where in a cell a byte stands. Bits: in a row at fault it may be in several. */
export const START = 1;
export const UNQUOTED = 2;
export const QUOTED = 4;
/** In a quoted cell, behind a quote: its end, or half of a doubled quote. */
export const QUOTE_SEEN = 8;
/** In the blanks behind a quoted cell. */
export const CLOSED = 16;
const STATES = [START, UNQUOTED, QUOTED, QUOTE_SEEN, CLOSED];

/** The state behind a byte that is no line end. What follows a quoted cell and is no blank goes on as if it were unquoted. */
export function nextState(state: number, byte: number, delimiter: number): number {
  if (state === QUOTED) return byte === QUOTE ? QUOTE_SEEN : QUOTED;
  if (byte === delimiter) return START;
  if (state === UNQUOTED) return UNQUOTED;
  if (byte === QUOTE && state !== CLOSED) return QUOTED;
  if (isBlank(byte)) return state === START ? START : CLOSED;
  return UNQUOTED;
}

/** Whether a quoted cell goes on behind its closing quote: then the row is at fault. */
export function breaksOff(before: number, after: number): boolean {
  return after === UNQUOTED && (before === QUOTE_SEEN || before === CLOSED);
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === LF || byte === CR;
}

/**
 * The readings of a row that is at fault, from behind a closing quote that did not end its cell. The first: the cell goes on
 * unquoted, and the row ends with its line. The others: that quote was text inside of a quoted cell, or began one in its
 * turn; then the row goes on to where that cell is closed. They are given up at a quote that can only open a cell.
 */
export class QuoteReadings {
  readonly #delimiter: number;
  #first = UNQUOTED;
  #others: number;
  /** Whether the row has ended in the first reading. */
  #firstIsOver = false;

  /** `state`: of the first reading. `isSure`: that there is no other. */
  constructor(delimiter: number, state: number, isSure: boolean) {
    this.#delimiter = delimiter;
    this.#first = state;
    this.#others = isSure ? 0 : QUOTED;
  }

  /** Whether any reading is inside of quotes. */
  get isInside(): boolean {
    return ((this.#others | (this.#firstIsOver ? 0 : this.#first)) & QUOTED) !== 0;
  }

  /** Whether all readings are inside of quotes, so that nothing but a quote can change them. */
  get areAllInside(): boolean {
    return (this.#others | (this.#firstIsOver ? 0 : this.#first)) === QUOTED;
  }

  /** Whether the row ended where it ends in the first reading, as every other one has been given up. */
  get isFirstAlone(): boolean {
    return this.#firstIsOver && this.#others === 0;
  }

  /** `previous`, `next`: the bytes beside it; undefined beyond the source. */
  pass(byte: number, previous: number | undefined, next: number | undefined): void {
    if (!this.#firstIsOver) {
      const after = nextState(this.#first, byte, this.#delimiter);
      if (breaksOff(this.#first, after)) this.#others |= QUOTED;
      this.#first = after;
    }
    const opens = byte === QUOTE && previous === this.#delimiter && !this.#canFollowCell(next);
    let others = 0;
    for (const before of STATES) {
      if ((this.#others & before) === 0 || (opens && before === QUOTED)) continue;
      const after = nextState(before, byte, this.#delimiter);
      others |= breaksOff(before, after) ? after | QUOTED : after;
    }
    this.#others = others;
  }

  /** A line end. True where the row ends with it in the first reading, and goes on in another. */
  breakLine(): boolean {
    const ends = !this.#firstIsOver && this.#first !== QUOTED;
    this.#firstIsOver ||= ends;
    this.#others = lineBegun(this.#others);
    return ends;
  }

  #canFollowCell(byte: number | undefined): boolean {
    return byte === undefined || byte === this.#delimiter || byte === QUOTE || isBlank(byte) || isLineEnd(byte);
  }
}

/** Inside of quotes a line end is text; elsewhere a cell begins. */
function lineBegun(states: number): number {
  return (states & QUOTED) | ((states & ~QUOTED) === 0 ? 0 : START);
}

/**
 * How many bytes one answer may hold: the JSON, and at most twice as many of the rows that it is made of. A batch is one
 * answer. Counted while the answer is made, so that one that is too large is stopped and never built.
 */
import { GatehouseError } from './errors.ts';

/** The default of ANSWER_MAX_BYTES. */
export const ANSWER_MAX_BYTES_DEFAULT = 16 * 1_048_576;
/** The least that ANSWER_MAX_BYTES may be: the largest member, with 50 aliases of its custom fields, fits. */
export const ANSWER_MAX_BYTES_MIN = 1_048_576;
/** The most that ANSWER_MAX_BYTES may be: one answer never fills what a key may hold. */
export const ANSWER_MAX_BYTES_MAX = 32 * 1_048_576;

/** A UTF-16 unit is written in up to six bytes of JSON: a control character, as \u0001. */
const BYTES_A_UNIT_MAX = 6;
/** An answer claims room in steps of so many bytes while it grows. */
const CLAIM_STEP_BYTES = 262_144;
/** Rows may take more than the answer that is made of them: some are read to see whether there are more. */
const ROW_BYTES_FACTOR = 2;
/** As JSON it has at most six times as much, which takes a millisecond or two. */
const SHORT_BYTES = 65_536;
/** An answer for which so much was read waits for its turn before it reads more. */
const LARGE_BYTES = 1_048_576;
/** So does one that asks for more long rows at once than this, which may be large, until they are read and are not. */
const FEW_LONG_ROWS = 101;

/** Where the bytes of answers are kept account of, such as those that a key holds. */
export interface Room {
  /** Whether what is held must not be let go for others' sake: a change is being made, and will be told of. */
  isKept: boolean;
  /** Claims more bytes. Returns the refusal where there is no room for them. */
  take(bytes: number): GatehouseError | null;
  give(bytes: number): void;
  /** Resolves when a large answer may be made; at once where it may already. */
  waitForTurn(): Promise<void>;
  /** `usedBytes`: that were read and made in it. */
  endTurn(usedBytes: number): void;
}

const ENDLESS: Room = {
  isKept: false,
  take: () => null,
  give: () => undefined,
  waitForTurn: async () => undefined,
  endTurn: () => undefined,
};

export class AnswerSize {
  readonly maxBytes: number;
  readonly #room: Room;
  /** Of the batch's operations that are done. */
  #writtenBytes = 0;
  #rowBytes = 0;
  /** Of the operation that runs: at least this, and no more than six times this. */
  #shownBytes = 0;
  #nextCheckBytes = CLAIM_STEP_BYTES;
  #claimedBytes = 0;
  #refusal: GatehouseError | null = null;
  /** Whether it is a change's: then there is room for the longest that it can have, and it is not stopped. */
  #isReserved = false;
  #isReading = false;
  readonly #waiting: (() => void)[] = [];

  /** `room`: absent, there is always more. */
  constructor(maxBytes: number = ANSWER_MAX_BYTES_DEFAULT, room: Room = ENDLESS) {
    this.maxBytes = maxBytes;
    this.#room = room;
  }

  /** Why the operation that runs was stopped; null while it may go on. */
  get refusal(): GatehouseError | null {
    return this.#refusal;
  }

  /**
   * Whether texts are to be counted byte by byte. Far from the bound their number of characters will do: what was counted
   * so takes at most `maxBytes`, however its characters are written.
   */
  get isExact(): boolean {
    return this.#shownBytes * BYTES_A_UNIT_MAX > this.maxBytes;
  }

  /** Whether the operation's answer is known to be so short that it is written in no time. */
  get isShort(): boolean {
    return this.#shownBytes > 0 && this.#shownBytes <= SHORT_BYTES;
  }

  /** What the operation that runs may have of it. */
  get leftBytes(): number {
    return this.maxBytes - this.#writtenBytes;
  }

  /** Before each operation of the request. */
  begin(): void {
    this.#shownBytes = 0;
    this.#rowBytes = 0;
    this.#isReserved = false;
    this.#refusal = null;
    this.#nextCheckBytes = CLAIM_STEP_BYTES;
  }

  /** Adds to what the operation's answer shows. Throws the refusal once that is too much. */
  grow(bytes: number): void {
    this.#shownBytes += bytes;
    if (this.#shownBytes >= this.#nextCheckBytes || this.#refusal !== null) this.#check();
  }

  /**
   * Reads a page of rows, once those of the same answer that were asked for before are read: what is held over the bound is
   * at most one page. `longRowsMax`: how many rows of the page can be long. `sizeOf`: bytes of what was read. Throws the
   * refusal where too much was read or shown, before the page is read and after.
   */
  async read<Rows>(longRowsMax: number, read: () => Promise<Rows>, sizeOf: (rows: Rows) => number): Promise<Rows> {
    if (this.#isReading) await this.#lineUp();
    this.#isReading = true; // and stays so where it is handed on
    try {
      if (this.#isReserved) return await read();
      if (longRowsMax > FEW_LONG_ROWS || this.#rowBytes > LARGE_BYTES) await this.#room.waitForTurn();
      if (this.#refusal !== null) throw this.#refusal;
      const rows = await read();
      this.#rowBytes += sizeOf(rows);
      if (this.#rowBytes <= LARGE_BYTES) this.#room.endTurn(0);
      this.#claimGrown();
      if (this.#rowBytes > ROW_BYTES_FACTOR * this.maxBytes) {
        this.#stop(tooLarge(this.maxBytes, this.#rowBytes, 'read'));
      }
      return rows;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#isReading = false;
      else next();
    }
  }

  /** Makes room for an answer of at most so many bytes, before what it tells of is done. Throws where there is none. */
  reserve(bytes: number): void {
    const wouldBe = this.#writtenBytes + bytes;
    if (wouldBe > this.maxBytes) throw tooLarge(this.maxBytes, wouldBe, 'reserve');
    const refusal = this.#claim(wouldBe);
    if (refusal !== null) throw refusal;
    this.#isReserved = true;
    this.#room.isKept = true;
  }

  /**
   * An operation is done, and its part of the answer has so many bytes. Returns the refusal where that is too much: then
   * it has none of them.
   */
  finish(bytes: number): GatehouseError | null {
    this.#end();
    const wouldBe = this.#writtenBytes + bytes;
    if (wouldBe > this.maxBytes) return tooLarge(this.maxBytes, wouldBe, 'shown');
    const refusal = this.#claim(wouldBe);
    if (refusal === null) this.#writtenBytes = wouldBe;
    return refusal;
  }

  /** Adds bytes that are told whatever their size, such as those of a change that has been made. */
  finishAnyhow(bytes: number): void {
    this.#end();
    this.#writtenBytes += bytes;
    this.#claim(this.#writtenBytes);
  }

  #end(): void {
    this.#room.isKept = false;
    this.#room.endTurn(this.#rowBytes + this.#shownBytes);
  }

  #lineUp(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    return promise;
  }

  #check(): void {
    if (this.#refusal !== null) throw this.#refusal;
    const bytes = this.#writtenBytes + this.#shownBytes;
    if (bytes > this.maxBytes) this.#stop(tooLarge(this.maxBytes, bytes, 'shown'));
    this.#nextCheckBytes = this.#shownBytes + CLAIM_STEP_BYTES;
    this.#claimGrown();
  }

  /** Rows and what shows them share their texts: the larger of the two is what is held. */
  #claimGrown(): void {
    const bytes = this.#writtenBytes + Math.max(this.#shownBytes, this.#rowBytes);
    const refusal = bytes < this.#claimedBytes + CLAIM_STEP_BYTES ? null : this.#claim(bytes);
    if (refusal !== null) this.#stop(refusal);
  }

  #stop(refusal: GatehouseError): never {
    this.#refusal ??= refusal;
    throw this.#refusal;
  }

  #claim(bytes: number): GatehouseError | null {
    const more = bytes - this.#claimedBytes;
    const refusal = more > 0 ? this.#room.take(more) : null;
    if (more < 0) this.#room.give(-more);
    if (refusal === null) this.#claimedBytes = bytes;
    return refusal;
  }
}

const MESSAGES = {
  read: (max: number, actual: number) =>
    `Query reads ${actual} bytes, for an answer that may have ${max}: ask for fewer objects at once, or for fewer of their fields`,
  shown: (max: number) =>
    `Query has an answer of more than ${max} bytes: ask for fewer objects at once, or for fewer of their fields`,
  reserve: (max: number, actual: number) =>
    `Query may have an answer of up to ${actual} bytes; the maximum is ${max}. Nothing was changed: send fewer items at once, or ask for fewer fields`,
} as const;

function tooLarge(max: number, actual: number, what: keyof typeof MESSAGES): GatehouseError {
  return new GatehouseError('QUERY_TOO_EXPENSIVE', MESSAGES[what](max, actual), {
    extensions: { limit: { name: 'answer-bytes', max, actual } },
  });
}

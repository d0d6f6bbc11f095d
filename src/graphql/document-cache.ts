/** Parsed documents by their text: bounded in number and in the size of each, so that callers can't fill the memory. */
const DOCUMENTS_MAX = 1_000;
/** A longer document is parsed every time. */
const DOCUMENT_MAX_CHARACTERS = 10_000;

/** As Yoga's cache options want it; the least recently used goes first. */
export class DocumentCache<Value extends object> {
  readonly #values = new Map<string, Value>();

  get(text: string): Value | undefined {
    const value = this.#values.get(text);
    if (value === undefined) return undefined;
    this.#values.delete(text);
    this.#values.set(text, value);
    return value;
  }

  set(text: string, value: Value): void {
    if (text.length > DOCUMENT_MAX_CHARACTERS) return;
    for (const oldest of this.#values.keys()) {
      if (this.#values.size < DOCUMENTS_MAX) break;
      this.#values.delete(oldest);
    }
    this.#values.set(text, value);
  }
}

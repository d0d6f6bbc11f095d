/**
 * Parsed documents by their text: bounded in number, in the size of each and in that of all together, so that callers
 * can't fill the memory. Measured, a parsed document takes 80 to 240 bytes for each character of its text.
 */
const DOCUMENTS_MAX = 1_000;
/** A longer document is parsed every time. */
const DOCUMENT_MAX_CHARACTERS = 10_000;
/** Of all texts together: at the most 60 MiB when parsed. */
export const DOCUMENTS_MAX_CHARACTERS = 250_000;

/** As Yoga's cache options want it; the least recently used goes first. */
export class DocumentCache<Value extends object> {
  readonly #values = new Map<string, Value>();
  #characters = 0;

  get(text: string): Value | undefined {
    const value = this.#values.get(text);
    if (value === undefined) return undefined;
    this.#values.delete(text);
    this.#values.set(text, value);
    return value;
  }

  set(text: string, value: Value): void {
    if (text.length > DOCUMENT_MAX_CHARACTERS) return;
    this.#delete(text);
    for (const oldest of this.#values.keys()) {
      if (this.#values.size < DOCUMENTS_MAX && this.#characters + text.length <= DOCUMENTS_MAX_CHARACTERS) break;
      this.#delete(oldest);
    }
    this.#values.set(text, value);
    this.#characters += text.length;
  }

  #delete(text: string): void {
    if (this.#values.delete(text)) this.#characters -= text.length;
  }
}

/** Totals of this process since its start, by a label of a closed list: read by metrics and by the last line of the log. */
export class Counter<Label extends string> {
  readonly #totals = new Map<Label, number>();

  add(label: Label): void {
    this.#totals.set(label, (this.#totals.get(label) ?? 0) + 1);
  }

  totals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#totals);
  }
}

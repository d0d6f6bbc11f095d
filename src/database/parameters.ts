/** The values of a statement, the first of them the network. */

/** `$?` with its type: where the value of a condition goes. */
const PLACE = /\$\?::([a-z_]+(?:\[\])?)/g;

export class Parameters {
  readonly values: unknown[];

  /** `networkId`: a UUID; `$1` in the SQL. */
  constructor(networkId: string) {
    this.values = [networkId];
  }

  /** Its name in the SQL. */
  add(value: unknown): string {
    return `$${this.values.push(value)}`;
  }

  /**
   * SQL for a value that the planner cannot see: it takes the result of a subquery for any value of the type. What it
   * knows about values comes from the rows of all networks together. A plan that followed from a value would tell
   * whether the value is common elsewhere.
   */
  hidden(value: unknown, type: string): string {
    return hiddenAs(this.add(value), type);
  }

  /** SQL of code, `$?::type` in it once or more, with the value hidden in its place. */
  fill(sql: string, value: unknown): string {
    const name = this.add(value);
    return sql.replaceAll(PLACE, (_place, type: string) => hiddenAs(name, type));
  }
}

// The second cast changes nothing, but without it ANY would take the subquery for its list of rows.
function hiddenAs(name: string, type: string): string {
  return `(SELECT ${name}::${type})::${type}`;
}

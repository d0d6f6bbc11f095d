/** COPY from and to memory, which pg leaves to its users: see "COPY Operations" in PostgreSQL's protocol. */
import pg from 'pg';

/** What pg's connection has for it, and its types do not tell. */
interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

class Copy extends pg.Query {
  readonly sent: Buffer[] = [];
  readonly #rows: readonly Buffer[];

  constructor(statement: string, rows: readonly Buffer[], done: (error: Error | undefined) => void) {
    super(statement, done);
    this.#rows = rows;
  }

  /** pg calls it when the server is ready for rows. */
  handleCopyInResponse(connection: CopyConnection): void {
    for (const chunk of this.#rows) connection.sendCopyFromChunk(chunk);
    connection.endCopyFrom();
  }

  /** pg calls it for each row that the server sends. */
  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    this.sent.push(Buffer.from(chunk));
  }
}

/** Runs a COPY … FROM STDIN with these rows, or a COPY … TO STDOUT; resolves to the rows that came. */
export async function copy(client: pg.ClientBase, statement: string, rows: readonly Buffer[] = []): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const query: Copy = client.query(
      new Copy(statement, rows, (error) =>
        error === undefined || error === null ? resolve(query.sent) : reject(error),
      ),
    );
  });
}

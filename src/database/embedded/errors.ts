// What can go wrong with the embedded database, in one sentence for a person: what is the matter, and what to do.

/** Its message is one clear sentence; the technical reason, where there is one, is its `cause`. */
export class EmbeddedError extends Error {
  override readonly name = 'EmbeddedError';
}

export const orBringYourOwn = 'or set DATABASE_URL to a PostgreSQL of your own';

/** A program of PostgreSQL's that failed, with what it printed. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
  readonly output: string;
  constructor(program: string, output: string) {
    super(`${program} failed: ${lastLine(output)}`);
    this.output = output;
  }
}

/** Turns whatever was thrown while working in `folder` into a sentence. */
export function explain(cause: unknown, folder: string): EmbeddedError {
  if (cause instanceof EmbeddedError) return cause;
  const text = textOf(cause);
  const known = sentences.find(({ pattern }) => pattern.test(text));
  return new EmbeddedError(known ? known.sentence(folder) : unknownTrouble(text), { cause });
}

// Both Node's codes and the words of initdb and postgres (which run in the C locale, so they are English).
const sentences: readonly { pattern: RegExp; sentence: (folder: string) => string }[] = [
  {
    pattern: /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/,
    sentence: (folder) =>
      `There is no room left on the disk that holds ${folder}: free some (a new database takes about 50 MB), ` +
      `name another folder in DATA_DIR, ${orBringYourOwn}.`,
  },
  {
    pattern: /could not look up effective user ID/,
    sentence: () =>
      'The user that Gatehouse runs as has no entry in /etc/passwd, which the embedded PostgreSQL needs: ' +
      `add one, run as another user, ${orBringYourOwn}.`,
  },
  {
    pattern: /error while loading shared libraries|required file not found|symbol not found/,
    sentence: () =>
      'The embedded PostgreSQL does not run on this system, which lacks the libraries it needs ' +
      `(it is built for glibc, which Alpine does not have): use another image, ${orBringYourOwn}.`,
  },
  {
    pattern: /EACCES|EPERM|EROFS|Permission denied|Operation not permitted|Read-only file system/,
    sentence: (folder) =>
      `Gatehouse may not write in ${folder}: give its user the right to, ` +
      `name another folder in DATA_DIR, ${orBringYourOwn}.`,
  },
  {
    pattern: /ENOTDIR|EEXIST/,
    sentence: (folder) =>
      `A file stands where a folder is needed on the way to ${folder}: name a folder in DATA_DIR, ${orBringYourOwn}.`,
  },
];

function unknownTrouble(text: string): string {
  return `The embedded PostgreSQL did not start (${lastLine(text)}): mend that, ${orBringYourOwn}.`;
}

function textOf(cause: unknown): string {
  if (cause instanceof ProgramError) return cause.output;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause ? `${String(cause.code)} ${cause.message}` : cause.message;
}

function lastLine(output: string): string {
  const lines = output.split('\n').map((line) => line.trim());
  // initdb ends by saying that it tidies up: the reason is the line before, marked as an error.
  const reason = lines.findLast((line) => /FATAL:|PANIC:|error:/.test(line)) ?? lines.findLast((line) => line !== '');
  return (reason ?? 'it said nothing').replace(/^.*?(FATAL|PANIC|error):\s*/, '').replace(/\.$/, '');
}

/** The code of a system or PostgreSQL error, or undefined. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Writes schema.graphql from the code, or with --check compares the two: the file in the repository is what reviewers
 * and client generators read, so it must say what the gateway serves.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { buildSchema, printSchema } from '../src/graphql/schema.ts';

const FILE = fileURLToPath(new URL('../schema.graphql', import.meta.url));

const printed = printSchema(buildSchema());

if (process.argv.includes('--check')) {
  const kept = await readFile(FILE, 'utf8').catch((error: unknown) => String(error));
  if (kept !== printed) {
    console.error('schema.graphql is not what the code says: run `npm run schema` and look at the difference.');
    console.error(firstDifference(kept, printed));
    process.exitCode = 1;
  }
} else {
  await writeFile(FILE, printed);
  console.log('wrote schema.graphql');
}

function firstDifference(kept: string, wanted: string): string {
  const [keptLines, wantedLines] = [kept.split('\n'), wanted.split('\n')];
  const at = wantedLines.findIndex((line, index) => line !== keptLines[index]);
  const index = at < 0 ? wantedLines.length : at;
  return `line ${index + 1}\n  file: ${keptLines[index] ?? '(ends)'}\n  code: ${wantedLines[index] ?? '(ends)'}`;
}

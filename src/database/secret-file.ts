/** The gateway's own secret on the embedded database: made once, kept in DATA_DIR in a file that only its owner reads. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'gateway-secret';
const SECRET_BYTES = 32;

export async function readOrMakeSecret(dataDir: string): Promise<string> {
  const path = join(dataDir, FILE);
  const known = await readIfThere(path);
  if (known !== null) return known;
  await mkdir(dataDir, { recursive: true });
  // Written whole under another name and then linked: of two processes that start at once one wins, and nobody ever
  // reads half a secret.
  const own = `${path}.${process.pid}`;
  await writeFile(own, randomBytes(SECRET_BYTES).toString('base64url'), { mode: 0o600 });
  try {
    await link(own, path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(own, { force: true });
  }
  return readFile(path, 'utf8');
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

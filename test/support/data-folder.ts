/** Folders for the embedded database. Each is gone after its test file, and the server in it. */
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterFile } from './cleanup.ts';
import { killServers } from './servers.ts';

/** An empty folder with a short path. */
export async function dataFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'gh-')));
  afterFile(async () => {
    await killServers(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  return folder;
}

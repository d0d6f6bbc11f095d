// A first start that is killed, at any moment: the next start goes on from there and ends up whole.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { dataFolder } from '../support/data-folder.ts';
import { printedToken, startGatewayProgram } from '../support/program.ts';
import { serversIn } from '../support/servers.ts';

const KILLS = 6;
/** What a first start takes on a quiet machine. */
const FIRST_START_MS = 3_000;

test(`a first start that was killed ${KILLS} times, and its PostgreSQL with it, heals itself`, async () => {
  const folder = await dataFolder();
  const moments: number[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const afterMs = Math.round((Math.random() * (FIRST_START_MS * (kill + 1))) / KILLS);
    moments.push(afterMs);
    const gateway = startGatewayProgram({ DATA_DIR: folder });
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await gateway.kill('SIGKILL');
    // Every other time PostgreSQL goes on by itself, as it does when the gateway alone is killed.
    if (kill % 2 === 0) for (const pid of await serversIn(folder)) process.kill(pid, 'SIGKILL');
  }
  const healed = startGatewayProgram({ DATA_DIR: folder });
  const url = await healed.url;
  expect((await fetch(`${url}/readyz`)).status, `killed after ${moments.join(', ')} ms`).toBe(200);
  expect(await serversIn(folder)).toHaveLength(1);

  const database = await openDatabase({ dataDir: folder, poolSize: 2, statementTimeoutMs: 30_000 });
  const { prisma } = database;
  const counts = await Promise.all([prisma.network.count(), prisma.admin.count(), prisma.member.count()]);
  const keys = await prisma.apiKey.count();
  await database.close();
  // The demo is there as a whole, made by this start or by one that was killed just after.
  expect([...counts, keys], `killed after ${moments.join(', ')} ms`).toEqual([1, 1, 1_000, 1]);
  expect((await readFile(join(folder, 'gateway-secret'), 'utf8')).length).toBeGreaterThanOrEqual(32);
  await healed.kill('SIGTERM');
  expect(await serversIn(folder)).toEqual([]);
  expect(printedToken(healed) === null || healed.output.stdout.includes('1,000 members')).toBe(true);
}, 120_000);

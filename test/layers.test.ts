/** The walls hold: a tree of planted violations, each of which dependency-cruiser must name by its rule. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DEPCRUISE = join(ROOT, 'node_modules/.bin/depcruise');
const CONFIG = join(ROOT, '.config/dependency-cruiser.cjs');

/** What every planted tree is built on: files that exist, and packages with nothing in them. */
const GROUND = [
  'src/main.ts',
  'src/config.ts',
  'src/gateway.ts',
  'src/domain/token.ts',
  'src/database/database.ts',
  'src/database/network-reads.ts',
  'src/services/networks.ts',
  'src/graphql/context.ts',
  'src/http/router.ts',
  'src/access/verifier.ts',
  'src/cli/main.ts',
  'prisma/seed.ts',
  'test/support/client.ts',
];
const PACKAGES = ['pg', 'zod', 'graphql', 'graphql-yoga', 'graphql-shield', '@pothos/core', '@prisma/client', 'pino'];

/** The rule, the file that breaks it, and the line that does. */
const PLANTS: readonly (readonly [rule: string, file: string, line: string])[] = [
  ['room-domain', 'src/domain/a.ts', "import { x } from '../database/database.ts';"],
  ['room-domain', 'src/domain/b.ts', "import type { X } from '../database/database.ts';"],
  ['room-domain', 'src/domain/c.ts', "import { type X } from '../config.ts';"],
  ['room-domain', 'src/domain/d.ts', "export type { X } from '../services/networks.ts';"],
  ['room-database', 'src/database/a.ts', "import type { X } from '../services/networks.ts';"],
  ['room-access', 'src/access/a.ts', "import { x } from '../graphql/context.ts';"],
  ['room-services', 'src/services/a.ts', "import type { X } from '../graphql/context.ts';"],
  ['room-services', 'src/services/b.ts', "const x = await import('../http/router.ts');"],
  ['room-graphql', 'src/graphql/a.ts', "import type { Database } from '../database/database.ts';"],
  ['room-graphql', 'src/graphql/b.ts', "import { x } from '../services/networks.ts';"],
  ['room-graphql', 'src/graphql/c.ts', "import { x } from '../http/router.ts';"],
  ['room-http', 'src/http/a.ts', "import type { Database } from '../database/database.ts';"],
  ['room-cli', 'src/cli/a.ts', "import { x } from '../http/router.ts';"],
  ['no-unknown-room', 'src/utils/a.ts', "import { x } from '../domain/token.ts';"],
  ['domain-does-no-io', 'src/domain/e.ts', "import { readFile } from 'node:fs/promises';"],
  ['config-imports-domain-alone', 'src/config.ts', "import { x } from './database/database.ts';"],
  ['gateway-has-one-user', 'src/http/b.ts', "import type { X } from '../gateway.ts';"],
  ['seed-has-one-user', 'src/cli/b.ts', "import { x } from '../../prisma/seed.ts';"],
  ['no-test-code-in-src', 'src/services/c.ts', "import { x } from '../../test/support/client.ts';"],
  ['no-cycle', 'src/domain/f.ts', "import { x } from './g.ts';"],
  ['no-unresolvable', 'src/domain/h.ts', "import { x } from './nowhere.ts';"],
  ['no-dead-file', 'src/services/networks.ts', 'export const x = 1;'],
  ['home-of-postgresql-driver', 'src/services/d.ts', "import type pg from 'pg';"],
  ['tests-connect-in-one-place', 'test/database/a.test.ts', "import pg from 'pg';"],
  ['home-of-zod', 'src/cli/c.ts', "import { z } from 'zod';"],
  ['home-of-graphql', 'src/http/c.ts', "import { GraphQLError } from 'graphql';"],
  ['home-of-yoga', 'src/graphql/d.ts', "import { createYoga } from 'graphql-yoga';"],
  ['home-of-shield', 'src/graphql/e.ts', "const { shield } = require('graphql-shield');"],
  ['home-of-pothos', 'src/graphql/f.ts', "import type { ObjectRef } from '@pothos/core';"],
  ['home-of-prisma-client', 'src/services/e.ts', "import { PrismaClient } from '@prisma/client';"],
  ['home-of-pino', 'src/cli/d.ts', "import { pino } from 'pino';"],
  ['no-undeclared-dependency', 'src/domain/i.ts', "import { x } from 'stranger';"],
  ['no-dev-dependency-in-src', 'src/domain/j.ts', "import { x } from 'tester';"],
];

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

let tree: string;
beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), 'gatehouse-layers-'));
});
afterAll(() => rm(tree, { recursive: true, force: true }));

async function plant(name: string, files: Readonly<Record<string, string>>): Promise<Violation[]> {
  const folder = join(tree, name);
  const dependencies = Object.fromEntries(PACKAGES.map((packageName) => [packageName, '*']));
  const all: Record<string, string> = {
    'package.json': JSON.stringify({ type: 'module', dependencies, devDependencies: { tester: '*' } }),
    ...Object.fromEntries([...PACKAGES, 'stranger', 'tester'].map((name) => [`node_modules/${name}/index.js`, ''])),
    ...Object.fromEntries(GROUND.map((file) => [file, 'export const x = 1;\nexport type X = 1;\n'])),
    ...files,
  };
  for (const [file, text] of Object.entries(all)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
  }
  const { stdout } = await cruise(folder);
  return (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations;
}

/** Its exit code counts the violations: here they are what is asked for. */
async function cruise(folder: string): Promise<{ stdout: string }> {
  const args = [DEPCRUISE, '--config', CONFIG, '-T', 'json', 'src', 'prisma', 'test'];
  try {
    return await promisify(execFile)(process.execPath, args, { cwd: folder, maxBuffer: 64 * 1_048_576 });
  } catch (error) {
    if (error instanceof Error && 'stdout' in error && String(error.stdout).startsWith('{')) {
      return { stdout: String(error.stdout) };
    }
    throw error;
  }
}

describe('the walls between rooms and around libraries', () => {
  let found: readonly Violation[];
  beforeAll(async () => {
    const files = Object.fromEntries(PLANTS.map(([, file, line]) => [file, `${line}\n`]));
    found = await plant('broken', { ...files, 'src/domain/g.ts': "import type { X } from './f.ts';\n" });
  });

  test.each(PLANTS)('%s catches %s: %s', (rule, file) => {
    expect(found.filter((violation) => violation.from === file).map((violation) => violation.rule.name)).toContain(
      rule,
    );
  });

  test('what the rules allow passes', async () => {
    const allowed = {
      'src/main.ts': "import './gateway.ts';\nimport './config.ts';\n",
      'src/gateway.ts':
        "import './http/router.ts';\nimport '../prisma/seed.ts';\nimport './access/verifier.ts';\nimport './services/networks.ts';\n",
      'src/config.ts': "import { z } from 'zod';\nimport { x } from './domain/token.ts';\n",
      'src/domain/token.ts': "import { createHash } from 'node:crypto';\n",
      'src/database/database.ts': "import pg from 'pg';\nimport { x } from '../domain/token.ts';\n",
      'src/http/router.ts': "import type { X } from '../graphql/context.ts';\n",
      'src/graphql/context.ts': "import type { X } from '../database/network-reads.ts';\n",
      'src/cli/main.ts': "import { x } from '../database/database.ts';\n",
      'test/database/b.test.ts': "import type pg from 'pg';\n",
      'test/support/postgres.ts': "import pg from 'pg';\n",
    };
    expect(await plant('sound', allowed)).toEqual([]);
  });
});

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { SlowFirst } from './sequencer.ts';

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/setup.ts'],
    // Real servers and databases: generous, so that a busy machine fails no test by its slowness.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Modules as Node itself loads them, types stripped: what is tested is what runs, and graphql is there once.
    experimental: { viteModuleRunner: false },
    pool: 'forks',
    // A worker loads the modules once for all of its files, which is half of the time that most of them take.
    isolate: false,
    sequence: { sequencer: SlowFirst },
    maxWorkers: 2,
  },
});

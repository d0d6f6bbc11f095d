/**
 * The programs of docs/calling.md that pull members, on a plan of ten requests a minute and killed on the way: they wait as
 * they are told, go on where they were, and miss nothing. Their sleep is a short one here, and moves the gateway's clock.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { type Example, examplesIn, isHere, readDocument } from '../support/documents.ts';
import { makeMembers, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const REQUESTS_PER_MINUTE = 10;
const PAGE = 250;
const PAGES = 23;
/** Said before a number of seconds. */
const SLEPT = 'slept';

interface Language {
  readonly command: string;
  readonly extension: string;
  /** Loaded first: its sleep prints how many seconds it was to take, and takes a moment. */
  readonly prelude: string;
  readonly arguments: (prelude: string, program: string) => string[];
}

const LANGUAGES: Readonly<Record<string, Language>> = {
  js: {
    command: process.execPath,
    extension: 'mjs',
    prelude: `import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';
const { setTimeout } = timers;
timers.setTimeout = (ms) => { console.error('${SLEPT} ' + ms / 1000); return setTimeout(50); };
syncBuiltinESMExports();`,
    arguments: (prelude, program) => ['--import', prelude, program],
  },
  python: {
    command: 'python3',
    extension: 'py',
    prelude: `import runpy, sys, time
really = time.sleep
def sleep(seconds):
    print("${SLEPT}", seconds, file=sys.stderr, flush=True)
    really(0.05)
time.sleep = sleep
runpy.run_path(sys.argv[1], run_name="__main__")`,
    arguments: (prelude, program) => [prelude, program],
  },
  ruby: {
    command: 'ruby',
    extension: 'rb',
    prelude: `module Kernel
  alias really sleep
  def sleep(seconds)
    $stderr.puts "${SLEPT} #{seconds}"
    really(0.05)
  end
end`,
    arguments: (prelude, program) => ['-r', prelude, program],
  },
};

const programs = examplesIn(await readDocument('docs/calling.md')).filter(({ language }) => language in LANGUAGES);

interface Clock {
  nowMs: number;
}

async function startGateway(clock: Clock): Promise<TestGateway> {
  const gateway = await startTestGateway({ LOG_LEVEL: 'info' }, { limitsClock: () => clock.nowMs });
  onTestFinished(() => gateway.close());
  return gateway;
}

/** Its pages that were served so far. */
function served({ log }: TestGateway): number {
  return log.filter(({ msg, status }) => msg === 'request' && status === 200).length;
}

/** As if it had been killed in the middle of writing a line. */
async function cutOff(folder: string): Promise<void> {
  const [file] = (await readdir(folder)).filter((name) => name.endsWith('.jsonl'));
  if (file === undefined) throw new Error('it keeps no file');
  await appendFile(join(folder, file), '{"nodes":[{"id":"mem_');
}

test('there is one in each language, and the one that follows changes', () => {
  expect(programs.map(({ language }) => language)).toEqual(['js', 'js', 'python', 'ruby']);
});

test.for(programs.map((program): [string, Example] => [`${program.language}, line ${program.line}`, program]))(
  '%s',
  { timeout: 120_000 },
  async ([, { language, text }], { skip }) => {
    const spoken = LANGUAGES[language] as Language;
    skip(!isHere(spoken.command) && process.env['CI'] === undefined, `no ${spoken.command} here`);
    const clock: Clock = { nowMs: 12_345 };
    const gateway = await startGateway(clock);
    const database = await openTestDatabase();
    onTestFinished(() => database.close());
    const numbers = { plan: 'CUSTOM', requestsPerMinute: REQUESTS_PER_MINUTE, costPerMinute: 1_000_000 } as const;
    const { network, token } = await makeNetwork(database, { network: numbers });
    await makeMembers(database, network.id, PAGES * PAGE - 1);
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-program-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const [prelude, program] = [join(folder, `p.${spoken.extension}`), join(folder, `m.${spoken.extension}`)];
    await writeFile(prelude, spoken.prelude);
    await writeFile(program, text.replaceAll('http://127.0.0.1:4000', gateway.url));

    /** `sleepsMax`: killed when it sleeps for the so manyth time. Gives what it printed; null where it was killed. */
    const run = async (sleepsMax: number): Promise<string | null> => {
      const args = spoken.arguments(prelude, program);
      const child = spawn(spoken.command, args, { cwd: folder, env: { ...process.env, TOKEN: token } });
      const ended = once(child, 'close');
      let printed = '';
      child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
      const said: string[] = [];
      let sleeps = 0;
      for await (const line of createInterface(child.stderr)) {
        const [word, seconds] = line.split(' ');
        if (word !== SLEPT) said.push(line);
        else {
          clock.nowMs += Number(seconds) * 1_000;
          sleeps += 1;
          if (sleeps === sleepsMax) child.kill('SIGKILL');
        }
      }
      const [code, signal] = await ended;
      if (signal === 'SIGKILL') return null;
      expect({ code, said }).toEqual({ code: 0, said: [] });
      return printed;
    };

    const kills = 2;
    for (let killed = 0; killed < kills; killed += 1) {
      expect(await run(1)).toBeNull();
      await cutOff(folder);
    }
    expect(await run(Number.POSITIVE_INFINITY)).toBe(`${PAGES * PAGE - 1} members\n`);
    // What it had, it did not ask for again: at most the page under way. The one that follows asks twice more.
    expect(served(gateway)).toBeGreaterThanOrEqual(PAGES);
    expect(served(gateway)).toBeLessThanOrEqual(PAGES + kills + 2);
    // And the whole of it took as long as the plan says.
    expect(clock.nowMs).toBeGreaterThan(60_000 * (Math.floor(PAGES / REQUESTS_PER_MINUTE) - 1));
    // Once it is done, it may be run again.
    expect(await run(Number.POSITIVE_INFINITY)).toBe(`${PAGES * PAGE - 1} members\n`);
  },
);

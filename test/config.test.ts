// Settings: what .env.example says, what config.ts reads, and nothing beside them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ConfigError, LIMITS_MODES, LOG_LEVELS, readConfig, SETTINGS } from '../src/config.ts';
import { TEST_SECRET } from './support/gateway.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NAMES = Object.keys(SETTINGS) as (keyof typeof SETTINGS)[];

interface Described {
  readonly value: string;
  /** What is written above it, on one line. */
  readonly comment: string;
}

/** `# NAME=default` or `NAME=default`, with comment lines right above. */
function describedSettings(): Map<string, Described> {
  const described = new Map<string, Described>();
  let comment: string[] = [];
  for (const line of readFileSync(join(ROOT, '.env.example'), 'utf8').split('\n')) {
    const [, name, value = ''] = /^(?:# ?)?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) {
      expect(described.has(name), `${name} stands there twice`).toBe(false);
      described.set(name, { value, comment: comment.join(' ') });
    }
    comment = line.startsWith('#') && name === undefined ? [...comment, line.slice(1).trim()] : [];
  }
  return described;
}

/** A default as it would be written in the environment. */
function defaultOf(name: keyof typeof SETTINGS): string {
  const value: unknown = SETTINGS[name].parse(undefined);
  return Array.isArray(value) ? value.join(',') : String(value ?? '');
}

/** What the comment of a setting must say: its values, or a unit that its name does not. */
const SAID: Readonly<Record<string, readonly string[]>> = {
  LOG_LEVEL: LOG_LEVELS,
  LIMITS_MODE: LIMITS_MODES,
  QUERY_INTROSPECTION: ['on or off'],
  QUERY_MAX_COST: ['points'],
};

describe('.env.example', () => {
  const described = describedSettings();

  test('names exactly the settings that are read', () => {
    expect([...described.keys()].sort()).toEqual([...NAMES].sort());
  });

  test.for(NAMES)('gives %s its true default', (name) => {
    expect(described.get(name)?.value).toBe(defaultOf(name));
  });

  test.for(NAMES)('explains %s: its unit and its bounds', (name) => {
    const comment = described.get(name)?.comment ?? '';
    expect(comment.length).toBeGreaterThan(20);
    const fault = SETTINGS[name].safeParse('\0').error?.issues[0]?.message ?? '';
    const bounds = /whole number from (\d+ to \d+)/.exec(fault)?.[1];
    if (bounds !== undefined) expect(comment).toContain(bounds);
    if (name.endsWith('_MS')) expect(comment).toContain('milliseconds');
    if (name.endsWith('_BYTES')) expect(comment).toContain('bytes');
    for (const word of SAID[name] ?? []) expect(comment).toContain(word);
    // Its default, or what its absence means.
    if (defaultOf(name) === '') expect(comment).toContain('Absent:');
  });
});

describe('settings', () => {
  test('have their defaults where nothing is given, and an empty value is as good as none', () => {
    const nothing = readConfig({});
    expect(readConfig(Object.fromEntries(NAMES.map((name) => [name, ''])))).toEqual(nothing);
    expect(nothing).toMatchObject({ PORT: 4000, HOST: '127.0.0.1', DATA_DIR: join(process.cwd(), '.data') });
    expect(Object.isFrozen(nothing)).toBe(true);
  });

  const WHOLE = NAMES.flatMap((name) => {
    const fault = SETTINGS[name].safeParse('x').error?.issues[0]?.message ?? '';
    const [, min, max] = /from (\d+) to (\d+)/.exec(fault) ?? [];
    return min === undefined || max === undefined ? [] : [[name, Number(min), Number(max)] as const];
  });
  test.for(WHOLE)('%s takes %d and %d and nothing beyond', ([name, min, max]) => {
    for (const value of [min, max]) expect(readConfig({ [name]: String(value) })[name]).toBe(value);
    for (const value of [min - 1, max + 1, `${min}.5`, `${max}e0`, ` ${min}`, '0x10', 'NaN', '٣']) {
      expect(() => readConfig({ [name]: String(value) })).toThrow(
        `${name} must be a whole number from ${min} to ${max}`,
      );
    }
  });

  test.for([
    ['GATEHOUSE_SECRETS', ',', 'must be secrets of at least 32 characters, separated by commas'],
    ['GATEHOUSE_SECRETS', `${TEST_SECRET},short`, 'must be secrets of at least 32 characters, separated by commas'],
    ['GATEHOUSE_COLOUR', 'red', 'is not a setting of Gatehouse'],
    ['DATABASE_URL', 'mysql://db/x', 'must begin with postgres:// or postgresql://'],
    ['DATABASE_URL', 'postgres://user:pa ss@db:x/x', 'must be a URL'],
    ['LOG_LEVEL', 'INFO', 'must be one of trace'],
    ['BASE_DOMAIN', 'https://example.org', 'must be a host name'],
    ['TRUST_PROXY', 'true', 'must be addresses or blocks'],
    ['TRUST_PROXY', '10.0.0.0/8,proxy.example.org', 'must be addresses or blocks'],
    ['TRUST_PROXY', '10.0.0.0/33', 'must be addresses or blocks'],
    ['PUBLIC_URL', 'example.org', 'must be an http or https URL'],
    ['PUBLIC_URL', 'ftp://example.org', 'must be an http or https URL'],
    ['REDIS_URL', 'http://redis:6379', 'must begin with redis:// or rediss://'],
    ['REDIS_URL', 'redis', 'must begin with redis:// or rediss://'],
    ['REDIS_URL', 'redis://user:pa ss@cache:x', 'must be a URL'],
    ['REDIS_PREFIX', 'gate house:', 'must be 1 to 64 printable characters'],
    ['REDIS_PREFIX', 'gatehouse{1}:', 'must be 1 to 64 printable characters'],
    ['REDIS_PREFIX', 'g'.repeat(65), 'must be 1 to 64 printable characters'],
    ['LIMITS_MODE', 'off', 'must be one of enforce, measure'],
    ['LIMITS_MODE', 'ENFORCE', 'must be one of enforce, measure'],
    ['QUERY_INTROSPECTION', 'false', 'must be on or off'],
    ['CORS_ORIGINS', '*', 'must be origins'],
    ['CORS_ORIGINS', 'https://app.example.org,https://app.example.org/', 'must be origins'],
  ])('refuse %s=%s: %s', ([name, value, fault]) => {
    const read = () => readConfig({ GATEHOUSE_SECRETS: TEST_SECRET, [String(name)]: value });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(`${name} ${fault}`);
  });

  test.for([
    ['REDIS_URL', 'redis://cache'],
    ['REDIS_URL', 'rediss://user:p%40ss@cache.example.org:6380/2'],
    ['REDIS_PREFIX', '!'],
    ['REDIS_PREFIX', '~'.repeat(64)],
    ['LIMITS_MODE', 'measure'],
    ['QUERY_INTROSPECTION', 'off'],
    ['METRICS_HOST', '::'],
  ] as const)('take %s=%s as it is', ([name, value]) => {
    expect(readConfig({ [name]: value })[name]).toBe(value);
  });

  test('are told wrong all together, what contradicts each other too', () => {
    const message = messageOf(() => readConfig({ PORT: 'x', DATABASE_URL: 'postgres://db/x' }));
    expect(message).toContain('PORT must be a whole number');
    expect(message).toContain('GATEHOUSE_SECRETS is required with DATABASE_URL');
  });

  test('are told wrong without a word of what they hold', () => {
    const environment = Object.fromEntries(NAMES.map((name) => [name, `s3cret, ${name.toLowerCase()}\0`]));
    const message = messageOf(() => readConfig({ ...environment, GATEHOUSE_X: 's3cret' }));
    expect(message).toContain('GATEHOUSE_X');
    expect(message).not.toContain('s3cret');
  });

  test('hold the trusted proxies as blocks', () => {
    const { TRUST_PROXY } = readConfig({ TRUST_PROXY: '127.0.0.1, 2001:DB8::/32' });
    expect(TRUST_PROXY.map(({ text }) => text)).toEqual(['127.0.0.1/32', '2001:db8::/32']);
  });

  test('hold several secrets, the current one first', () => {
    const secrets = `${TEST_SECRET}, ${TEST_SECRET.toUpperCase()}`;
    expect(readConfig({ GATEHOUSE_SECRETS: secrets }).GATEHOUSE_SECRETS).toEqual([
      TEST_SECRET,
      TEST_SECRET.toUpperCase(),
    ]);
  });
});

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return String(error);
  }
  throw new Error('nothing was thrown');
}

describe('the environment', () => {
  const SOURCE = join(ROOT, 'src');
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter(
    (file) => /\.[cm]?[jt]sx?$/.test(file) && !file.startsWith(join('database', 'generated')),
  );
  /** The lines of code: a comment may speak of what code may not do. */
  const code = (file: string) =>
    readFileSync(join(SOURCE, file), 'utf8')
      .split('\n')
      .filter((line) => !/^\s*(\/\/|\/?\*)/.test(line))
      .join('\n');

  test('is read by config.ts alone', () => {
    const reads = /process\s*(\?\.|\.|\[\s*['"`])\s*env\b|\benv\b[^;]*from 'node:process'|import\.meta\.env/;
    expect(files.filter((file) => reads.test(code(file)))).toEqual(['config.ts']);
  });

  test('has no NODE_ENV: what is tested is what runs', () => {
    expect(files.filter((file) => code(file).includes('NODE_ENV'))).toEqual([]);
  });
});

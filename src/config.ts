/**
 * Settings: the only reader of the environment. Parsed once, frozen, all faults reported together. `.env.example`
 * describes each; test/config.test.ts holds the two together.
 */
import { resolve } from 'node:path';
import { z } from 'zod';
import { type Block, parseBlock } from './domain/address.ts';
import { ANSWER_MAX_BYTES_DEFAULT, ANSWER_MAX_BYTES_MAX, ANSWER_MAX_BYTES_MIN } from './domain/answer-size.ts';
import { AUDIT_RETENTION_DEFAULT_DAYS } from './domain/audit.ts';
import { SECRET_MIN_CHARACTERS } from './domain/keyring.ts';
import type { UsageRetention } from './domain/usage.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export const LIMITS_MODES = ['enforce', 'measure'] as const;
const SWITCH = ['on', 'off'] as const;

type IntegerSetting = z.ZodPipe<z.ZodPipe<z.ZodString, z.ZodTransform<number, string>>, z.ZodNumber>;

const HOUR_MS = 3_600_000;
/** A hundred years. */
const RETENTION_MAX_DAYS = 36_500;

/** A setting's value as text, its bounds, and its default. Exported so that a test can hold `.env.example` to it. */
export const SETTINGS = {
  PORT: integer(0, 65_535, 4000),
  HOST: z.string().min(1).default('127.0.0.1'),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must begin with postgres:// or postgresql://')
    .refine((url) => URL.canParse(url), 'must be a URL: write special characters in the password as %XX')
    .optional(),
  DATA_DIR: z.string().min(1).default('.data'),
  DATABASE_POOL_SIZE: integer(2, 500, 10),
  GATEHOUSE_SECRETS: z.string().transform(list).pipe(secrets()).optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  TRUST_PROXY: z.string().transform(list).pipe(blocks()).default([]),
  BASE_DOMAIN: z
    .string()
    .toLowerCase()
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'must be a host name without port or scheme')
    .optional(),
  PUBLIC_URL: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
  METRICS_PORT: integer(0, 65_535).optional(),
  METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must begin with redis:// or rediss://')
    .refine((url) => URL.canParse(url), 'must be a URL: write special characters in the password as %XX')
    .optional(),
  REDIS_PREFIX: z
    .string()
    .regex(/^[!-z|~]{1,64}$/, 'must be 1 to 64 printable characters without blanks and braces')
    .default('gatehouse:'),
  LIMITS_GATEWAYS: integer(1, 1_000, 1),
  LIMITS_MODE: z.enum(LIMITS_MODES, `must be one of ${LIMITS_MODES.join(', ')}`).default('enforce'),
  CORS_ORIGINS: z.string().transform(list).pipe(origins()).default([]),
  CONNECTIONS_MAX: integer(10, 100_000, 2_000),
  BODY_LIMIT_BYTES: integer(1_024, 64 * 1_048_576, 1_048_576),
  COMPRESSION: z.enum(SWITCH, 'must be on or off').default('on'),
  ANSWER_MAX_BYTES: integer(ANSWER_MAX_BYTES_MIN, ANSWER_MAX_BYTES_MAX, ANSWER_MAX_BYTES_DEFAULT),
  REQUEST_TIMEOUT_MS: integer(100, HOUR_MS, 30_000),
  STATEMENT_TIMEOUT_MS: integer(100, HOUR_MS, 10_000),
  SHUTDOWN_TIMEOUT_MS: integer(100, HOUR_MS, 10_000),
  DELETIONS_KEPT_DAYS: integer(1, 3_650, 30),
  QUERY_MAX_TOKENS: integer(10, 100_000, 2_000),
  QUERY_MAX_DEPTH: integer(2, 1_000, 15),
  QUERY_MAX_ALIASES: integer(0, 10_000, 50),
  QUERY_MAX_ROOT_FIELDS: integer(1, 1_000, 20),
  QUERY_MAX_DIRECTIVES: integer(0, 10_000, 50),
  QUERY_MAX_REPEATS: integer(1, 10_000, 100),
  QUERY_MAX_LIST_ITEMS: integer(1, 100_000, 1_000),
  QUERY_MAX_VARIABLES: integer(0, 10_000, 100),
  QUERY_MAX_BATCH: integer(1, 1_000, 10),
  QUERY_MAX_INTROSPECTION_DEPTH: integer(2, 1_000, 15),
  QUERY_MAX_COST: integer(1, 1_000_000_000, 1_000),
  QUERY_INTROSPECTION: z.enum(SWITCH, 'must be on or off').default('on'),
  QUERY_COMPILE_AFTER: integer(0, 1_000_000, 10),
  USAGE_FLUSH_INTERVAL_MS: integer(0, 60_000, 5_000),
  USAGE_MINUTES_RETENTION_DAYS: integer(1, RETENTION_MAX_DAYS, 7),
  USAGE_HOURS_RETENTION_DAYS: integer(1, RETENTION_MAX_DAYS, 400),
  REFUSALS_RETENTION_DAYS: integer(1, RETENTION_MAX_DAYS, 90),
  AUDIT_RETENTION_DAYS: integer(1, RETENTION_MAX_DAYS, AUDIT_RETENTION_DEFAULT_DAYS),
};

const schema = z.object(SETTINGS);
type Values = z.output<typeof schema>;

export type Config = Readonly<Values>;

/** Every fault of the environment, a line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Throws a ConfigError that lists every fault. An empty value counts as absent. */
export function readConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  const faults = [...unknownNames(given), ...(parsed.success ? [] : faultsOf(parsed.error)), ...contradictions(given)];
  if (!parsed.success || faults.length > 0) {
    throw new ConfigError(`The settings are wrong:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
  }
  return Object.freeze({ ...parsed.data, DATA_DIR: resolve(parsed.data.DATA_DIR) });
}

/** Days are kept for good. */
export function usageRetentionOf(config: Config): UsageRetention {
  return { MINUTE: config.USAGE_MINUTES_RETENTION_DAYS, HOUR: config.USAGE_HOURS_RETENTION_DAYS, DAY: null };
}

function unknownNames(given: Record<string, unknown>): string[] {
  return Object.keys(given)
    .filter((name) => name.startsWith('GATEHOUSE_') && !Object.hasOwn(SETTINGS, name))
    .map((name) => `${name} is not a setting of Gatehouse`);
}

// The value itself is never shown: a database URL or a secret would be in it.
function faultsOf(error: z.ZodError): string[] {
  return error.issues.map((issue) => `${String(issue.path[0])} ${issue.message}`);
}

function contradictions(given: Record<string, unknown>): string[] {
  if (given['DATABASE_URL'] === undefined || given['GATEHOUSE_SECRETS'] !== undefined) return [];
  return [
    'GATEHOUSE_SECRETS is required with DATABASE_URL: every gateway of one database must share it ' +
      '(make one with `openssl rand -base64 32`)',
  ];
}

function integer(min: number, max: number): IntegerSetting;
function integer(min: number, max: number, fallback: number): z.ZodDefault<IntegerSetting>;
function integer(min: number, max: number, fallback?: number) {
  const bounds = `must be a whole number from ${min} to ${max}`;
  const setting = z
    .string()
    .regex(/^\d{1,15}$/, bounds)
    .transform(Number)
    .pipe(z.number().min(min, bounds).max(max, bounds));
  return fallback === undefined ? setting : setting.default(fallback);
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function secrets() {
  const bound = `must be secrets of at least ${SECRET_MIN_CHARACTERS} characters, separated by commas`;
  const secret = z.string(bound).min(SECRET_MIN_CHARACTERS, bound);
  return z.tuple([secret], secret, bound);
}

function origins() {
  const bound = 'must be origins such as https://app.example.org, separated by commas';
  return z.array(z.string().refine((origin) => URL.canParse(origin) && new URL(origin).origin === origin, bound));
}

function blocks() {
  const bound = 'must be addresses or blocks such as 10.0.0.0/8,2001:db8::/32, separated by commas';
  return z.array(
    z.string().transform((text, context): Block => {
      const block = parseBlock(text);
      if (block !== null) return block;
      context.issues.push({ code: 'custom', message: bound, input: text });
      return z.NEVER;
    }),
  );
}

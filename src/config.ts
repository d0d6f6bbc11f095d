/**
 * Settings: the only reader of the environment. Parsed once, frozen, all faults reported together. `.env.example`
 * describes each; test/config.test.ts holds the two together.
 */
import { resolve } from 'node:path';
import { z } from 'zod';
import { SECRET_MIN_CHARACTERS } from './domain/keyring.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const HOUR_MS = 3_600_000;

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
  BASE_DOMAIN: z
    .string()
    .toLowerCase()
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'must be a host name without port or scheme')
    .optional(),
  PUBLIC_URL: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
  CORS_ORIGINS: z.string().transform(list).pipe(origins()).default([]),
  BODY_LIMIT_BYTES: integer(1_024, 64 * 1_048_576, 1_048_576),
  REQUEST_TIMEOUT_MS: integer(100, HOUR_MS, 30_000),
  STATEMENT_TIMEOUT_MS: integer(100, HOUR_MS, 10_000),
  SHUTDOWN_TIMEOUT_MS: integer(100, HOUR_MS, 10_000),
  QUERY_MAX_TOKENS: integer(10, 100_000, 2_000),
  QUERY_MAX_DEPTH: integer(2, 1_000, 15),
  QUERY_MAX_ALIASES: integer(0, 10_000, 50),
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

function integer(min: number, max: number, fallback: number) {
  const bounds = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, bounds)
    .transform(Number)
    .pipe(z.number().min(min, bounds).max(max, bounds))
    .default(fallback);
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

/** What options and arguments mean. Each parser throws what commander reports as wrong usage. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseBlock } from '../domain/address.ts';
import { parseIsoTime } from '../domain/member.ts';
import { ALL_SCOPES, isScope } from '../domain/scope.ts';

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `90d`, `12h`: as milliseconds. */
export function durationMs(text: string): number {
  const [, amount, unit = ''] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (unitMs === undefined || Number(amount) === 0) {
    throw new InvalidArgumentError('It is a number and s, m, h, d or w, such as 90d or 12h.');
  }
  return Number(amount) * unitMs;
}

/** The same, or 0 for no time at all. */
export function lapseMs(text: string): number {
  return text === '0' ? 0 : durationMs(text);
}

/** A longest time in whole seconds, or `none` (commander takes a null for an option without a value). */
export function boundSeconds(text: string): number | 'none' {
  return text === 'none' ? 'none' : durationMs(text) / 1_000;
}

/** When a key ends: from now on, or at a time. */
export function expiryOptions(): Option[] {
  return [
    new Option('--expires-in <time>', 'such as 90d or 12h').argParser(durationMs).conflicts('expiresAt'),
    new Option('--expires-at <time>', 'in ISO 8601, such as 2027-01-31T00:00:00Z').argParser(isoTime),
  ];
}

export function isoTime(text: string): Date {
  const time = parseIsoTime(text);
  if ('reason' in time) throw new InvalidArgumentError(`It ${time.reason}.`);
  return time.value;
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** Repeated, or several with commas between them. */
export function scopes(text: string, before: readonly string[] = []): string[] {
  const given = text.split(',').map((scope) => scope.trim());
  const unknown = given.find((scope) => !isScope(scope));
  if (unknown !== undefined) throw new InvalidArgumentError(`The scopes are ${ALL_SCOPES.join(', ')}.`);
  return [...before, ...given];
}

/** Repeated, or several with commas between them. */
export function addresses(text: string, before: readonly string[] = []): string[] {
  const given = text.split(',').map((address) => address.trim());
  const isWrong = given.some((address) => parseBlock(address) === null);
  if (isWrong) throw new InvalidArgumentError('It is an IP address or a block of them, such as 203.0.113.0/24.');
  return [...before, ...given];
}

/** An option that takes one of a few words, in any case; its value is the word in upper case. */
export function choiceOption<Value extends string>(
  flags: string,
  description: string,
  values: readonly Value[],
): Option {
  const words = values.map((value) => value.toLowerCase());
  return new Option(flags, `${description} (${words.join(', ')})`).argParser((text: string): Value => {
    const found = values.find((value) => value === text.toUpperCase());
    if (found === undefined) throw new InvalidArgumentError(`It is one of ${words.join(', ')}.`);
    return found;
  });
}

/** The same, repeated or several with commas between them; its value is a list. */
export function choicesOption<Value extends string>(
  flags: string,
  description: string,
  values: readonly Value[],
): Option {
  const lower = values.map((value) => value.toLowerCase());
  return new Option(flags, `${description} (${lower.join(', ')}); repeat it, or part several by commas`).argParser(
    (text: string, before: readonly Value[] = []): Value[] => {
      const given = text
        .split(',')
        .map((word) => values.find((value) => value.toLowerCase() === word.trim().toLowerCase()));
      if (given.includes(undefined)) throw new InvalidArgumentError(`They are ${lower.join(', ')}.`);
      return [...before, ...given.filter((value) => value !== undefined)];
    },
  );
}

export const DIRECTIONS = ['ASC', 'DESC'] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** `--network`, which every noun but `network` itself needs. */
export function networkOption(): Option {
  return new Option('--network <network>', 'the network, by its slug or id').makeOptionMandatory();
}

export interface GlobalOptions {
  readonly json?: boolean;
}

export function isJson(command: Command): boolean {
  return command.optsWithGlobals<GlobalOptions>().json === true;
}

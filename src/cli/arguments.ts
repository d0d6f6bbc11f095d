/** What options and arguments mean. Each parser throws what commander reports as wrong usage. */
import { type Command, InvalidArgumentError, Option } from 'commander';
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

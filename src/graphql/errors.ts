/**
 * The one translator from what was thrown to what a caller sees: a refusal with its code, or, for a bug, the request id
 * and nothing else. The REST paths and the refusals before GraphQL use `publicRefusal` too.
 */
import { GraphQLError, Kind } from 'graphql';
import { type DatabaseFault, databaseFault, PoolRefusal } from '../database/faults.ts';
import { GatehouseError, isRefusalCode, type RefusalCode } from '../domain/errors.ts';

/** An error as it goes out (GraphQL specification, 7.1.2), with the contract's extensions. */
export interface PublicError {
  readonly message: string;
  readonly locations?: readonly { readonly line: number; readonly column: number }[];
  readonly path?: readonly (string | number)[];
  readonly extensions: { readonly code: RefusalCode; readonly status: number; readonly requestId: string } & Readonly<
    Record<string, unknown>
  >;
}

export interface Translated {
  readonly error: PublicError;
  readonly headers: Readonly<Record<string, string>>;
}

/** Told of each bug, with all there is to know. */
export type OnBug = (error: unknown, requestId: string) => void;

/** How long a caller should wait for a database that cannot do it now. */
const RETRY_AFTER_SECONDS = 5;

const FAULTS: Readonly<Record<DatabaseFault, GatehouseError>> = {
  unreachable: unavailable('Service unavailable: the database is out of reach'),
  'read-only': unavailable('Service unavailable: the database can be read and not now be written'),
  busy: unavailable('Service unavailable: the database cannot do this now'),
  timeout: new GatehouseError('TIMEOUT', 'Timeout: the database took too long over this request'),
};

function unavailable(message: string): GatehouseError {
  return new GatehouseError('SERVICE_UNAVAILABLE', message, {
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  });
}

/** What a thrown thing means to the caller; null for a bug. */
export function refusalIn(thrown: unknown): GatehouseError | null {
  if (thrown instanceof GatehouseError) return thrown;
  if (thrown instanceof PoolRefusal) return thrown.refusal;
  if (thrown instanceof GraphQLError && thrown.originalError != null) return refusalIn(thrown.originalError);
  const fault = databaseFault(thrown);
  return fault === null ? null : FAULTS[fault];
}

/** A thrown thing as it goes out, for anything outside of GraphQL's own machinery. */
export function translate(thrown: unknown, requestId: string, onBug: OnBug): Translated {
  const refusal = refusalIn(thrown);
  if (refusal !== null) return publicRefusal(refusal, requestId);
  onBug(unwrapped(thrown), requestId);
  return publicRefusal(
    new GatehouseError('INTERNAL_SERVER_ERROR', `Internal server error: the operator can find it by ${requestId}`),
    requestId,
  );
}

/** What a resolver threw, out of what GraphQL made of it. */
function unwrapped(thrown: unknown): unknown {
  return thrown instanceof GraphQLError && thrown.originalError != null ? unwrapped(thrown.originalError) : thrown;
}

export function publicRefusal({ code, status, message, details }: GatehouseError, requestId: string): Translated {
  return {
    error: { message: bounded(message), extensions: { code, status, requestId, ...details.extensions } },
    headers: details.headers ?? {},
  };
}

/** GraphQL's own errors quote what they are about, and a hundred of them may quote one name as long as a body. */
const MESSAGE_MAX_CHARACTERS = 2_000;

function bounded(message: string): string {
  return message.length <= MESSAGE_MAX_CHARACTERS ? message : `${message.slice(0, MESSAGE_MAX_CHARACTERS)}…`;
}

/** The codes of the errors that GraphQL's own machinery makes, by the phase that made them. */
const phases = new WeakMap<object, RefusalCode>();

/** Marks an error of parsing or validation. Cached documents give the same error object again and again. */
export function markPhase(error: object, code: 'GRAPHQL_PARSE_FAILED' | 'GRAPHQL_VALIDATION_FAILED'): void {
  phases.set(error, code);
}

/** An error of a GraphQL result as it goes out. */
export function translateResultError(error: GraphQLError, requestId: string, onBug: OnBug): Translated {
  const place = {
    ...(error.locations === undefined ? {} : { locations: error.locations }),
    ...(error.path === undefined ? {} : { path: error.path }),
  };
  const own = requestErrorCode(error);
  if (own !== null) {
    const { error: refused, headers } = publicRefusal(new GatehouseError(own, error.message), requestId);
    return { error: { ...refused, ...place }, headers };
  }
  const { error: translated, headers } = translate(error, requestId, onBug);
  return { error: { ...translated, ...place }, headers };
}

/**
 * The code of an error that the caller's request is to blame for, as GraphQL or Yoga found it; null for what was thrown
 * while fields ran, and for what Yoga calls unexpected.
 */
function requestErrorCode(error: GraphQLError): RefusalCode | null {
  const phase = phases.get(error);
  if (phase !== undefined) return phase;
  if (isOfArgument(error)) return 'BAD_USER_INPUT';
  if (error.path !== undefined || error.extensions['unexpected'] === true) return null;
  if (error.originalError != null && !(error.originalError instanceof GraphQLError)) return null;
  if (isRefusalCode(error.extensions['code']) && error.extensions['code'] === 'INTERNAL_SERVER_ERROR') return null;
  return 'BAD_USER_INPUT';
}

/**
 * Whether an argument's value is to blame, such as a null in a variable whose default is not null: that shows only when
 * the field is about to run. Such an error points at the value, one of a resolver at its field.
 */
function isOfArgument({ nodes, originalError }: GraphQLError): boolean {
  const place = nodes?.[0]?.kind;
  return place !== undefined && place !== Kind.FIELD && originalError instanceof GraphQLError;
}

/**
 * Refusals: one error with a code from one table. Outcomes are values (domain/verification.ts, a payload's
 * userErrors); bugs are whatever else is thrown.
 */
export const REFUSALS = {
  UNAUTHORIZED: 401,
  TOKEN_EXPIRED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  RATE_LIMITED: 429,
  QUERY_TOO_EXPENSIVE: 400,
  PERSISTED_QUERY_NOT_SUPPORTED: 400,
  GRAPHQL_PARSE_FAILED: 400,
  GRAPHQL_VALIDATION_FAILED: 422,
  BAD_USER_INPUT: 422,
  METHOD_NOT_ALLOWED: 405,
  NOT_ACCEPTABLE: 406,
  REQUEST_TIMEOUT: 408,
  IDEMPOTENCY_KEY_IN_USE: 409,
  POSITION_EXPIRED: 410,
  PAYLOAD_TOO_LARGE: 413,
  URI_TOO_LONG: 414,
  UNSUPPORTED_MEDIA_TYPE: 415,
  EXPECTATION_FAILED: 417,
  MISDIRECTED_REQUEST: 421,
  IDEMPOTENCY_KEY_REUSED: 422,
  HTTPS_REQUIRED: 403,
  INTERNAL_SERVER_ERROR: 500,
  NOT_IMPLEMENTED: 501,
  SERVICE_UNAVAILABLE: 503,
  TIMEOUT: 504,
  HTTP_VERSION_NOT_SUPPORTED: 505,
} as const satisfies Record<string, number>;
export type RefusalCode = keyof typeof REFUSALS;

/**
 * The codes that an executed operation reports beside `data`, even where they are all that came of it. With any other code, an
 * operation whose only root field was refused was refused as a whole.
 */
export const EXECUTION_ERRORS: ReadonlySet<RefusalCode> = new Set(['BAD_USER_INPUT', 'INTERNAL_SERVER_ERROR']);

export interface RefusalDetails {
  /** More of the answer's headers, such as WWW-Authenticate and Retry-After. */
  readonly headers?: Readonly<Record<string, string>>;
  /** More of the error's extensions, such as the scopes that were missing. */
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** A refusal. Its message is public: it never holds a secret, another network's data or a person's. */
export class GatehouseError extends Error {
  override readonly name = 'GatehouseError';
  readonly code: RefusalCode;
  readonly details: RefusalDetails;

  constructor(code: RefusalCode, message: string, details: RefusalDetails = {}) {
    // A refusal is no bug: nobody reads where it was made, and finding that out is most of what making one takes.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
    this.details = details;
  }

  /** The HTTP status of the code. */
  get status(): number {
    return REFUSALS[this.code];
  }
}

export function isRefusalCode(code: unknown): code is RefusalCode {
  return typeof code === 'string' && Object.hasOwn(REFUSALS, code);
}

/** 422: the input is not what the field takes. Names the field and its bound. */
export function badInput(message: string, field?: string): GatehouseError {
  return new GatehouseError('BAD_USER_INPUT', message, field === undefined ? {} : { extensions: { field } });
}

/** 400: the body, or the text of a query parameter, is not JSON at all. */
export function notJson(message: string, field?: string): GatehouseError {
  return new GatehouseError('GRAPHQL_PARSE_FAILED', message, field === undefined ? {} : { extensions: { field } });
}

/** A GraphQL client as plain as a caller's own: fetch, JSON, a token. */

/** What an answer says of its cost, in points. */
export interface CostReport {
  readonly requested: number;
  readonly actual: number;
  readonly limit: number;
  readonly remaining: number;
  readonly resetAt: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Of the body: what is beside data and errors. Null where there is none. */
  readonly cost: CostReport | null;
  /** Without its `extensions`. */
  readonly body: {
    // biome-ignore lint/suspicious/noExplicitAny: the answer's shape is what a test looks into
    readonly data?: any;
    readonly errors?: readonly ReplyError[];
    readonly [key: string]: unknown;
  };
}

export interface ReplyError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: { readonly code: string; readonly status: number; readonly requestId: string } & Record<
    string,
    unknown
  >;
}

export interface CallOptions {
  readonly variables?: Record<string, unknown>;
  readonly headers?: Record<string, string>;
  /** `/graphql` where absent. */
  readonly path?: string;
}

export async function graphql(
  url: string,
  token: string | null,
  query: string,
  options: CallOptions = {},
): Promise<Reply> {
  const response = await fetch(url + (options.path ?? '/graphql'), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...options.headers,
    },
    body: JSON.stringify({ query, variables: options.variables }),
  });
  return replyOf(response);
}

export async function replyOf(response: Response): Promise<Reply> {
  return replyOfText(response.status, response.headers, await response.text());
}

/** The answer to one operation, of whatever client. */
export function replyOfText(status: number, headers: Headers, text: string): Reply {
  const { extensions, ...body } = JSON.parse(text) as Reply['body'] & {
    readonly extensions?: { readonly cost?: CostReport };
  };
  return { status, headers, cost: extensions?.cost ?? null, body };
}

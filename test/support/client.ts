/** A GraphQL client as plain as a caller's own: fetch, JSON, a token. */

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
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
  return { status: response.status, headers: response.headers, body: (await response.json()) as Reply['body'] };
}

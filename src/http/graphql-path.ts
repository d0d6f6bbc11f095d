/** The paths at which there is GraphQL. */
const NETWORK_GRAPHQL = /^\/networks\/([^/]+)\/graphql$/;

export function isGraphqlPath(path: string): boolean {
  return path === '/graphql' || namedNetwork(path) !== undefined;
}

/** The network that a path names, as it was sent; undefined where it names none. */
export function namedNetwork(path: string): string | undefined {
  return NETWORK_GRAPHQL.exec(path)?.[1];
}

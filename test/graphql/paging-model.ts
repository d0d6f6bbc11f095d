/** Relay's specification of paging (https://relay.dev/graphql/connections.htm, 4.4 and 5.2), word for word, on an array. */

export interface PageArgs {
  readonly first?: number | undefined;
  readonly last?: number | undefined;
  /** Indices of edges in the whole list. */
  readonly after?: number | undefined;
  readonly before?: number | undefined;
}

export interface Page<Edge> {
  readonly edges: readonly Edge[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
}

/** What the gateway takes where neither `first` nor `last` is given. */
const FIRST_BY_DEFAULT = 50;

export function relayPage<Edge>(allEdges: readonly Edge[], args: PageArgs): Page<Edge> {
  const { last, after, before } = args;
  const first = args.first === undefined && last === undefined ? FIRST_BY_DEFAULT : args.first;
  return {
    edges: edgesToReturn(allEdges, before, after, first, last),
    hasNextPage: hasNextPage(allEdges, before, after, first),
    hasPreviousPage: hasPreviousPage(allEdges, before, after, last),
  };
}

function edgesToReturn<Edge>(
  allEdges: readonly Edge[],
  before: number | undefined,
  after: number | undefined,
  first: number | undefined,
  last: number | undefined,
): readonly Edge[] {
  let edges = applyCursorsToEdges(allEdges, before, after);
  if (first !== undefined && edges.length > first) edges = edges.slice(0, first);
  if (last !== undefined && edges.length > last) edges = edges.slice(edges.length - last);
  return edges;
}

function applyCursorsToEdges<Edge>(
  allEdges: readonly Edge[],
  before: number | undefined,
  after: number | undefined,
): readonly Edge[] {
  return allEdges.filter(
    (_, index) => (after === undefined || index > after) && (before === undefined || index < before),
  );
}

function hasPreviousPage<Edge>(
  allEdges: readonly Edge[],
  before: number | undefined,
  after: number | undefined,
  last: number | undefined,
): boolean {
  if (last !== undefined) return applyCursorsToEdges(allEdges, before, after).length > last;
  // "If the server can efficiently determine that elements exist prior to after": the edge of the cursor is one.
  return after !== undefined;
}

function hasNextPage<Edge>(
  allEdges: readonly Edge[],
  before: number | undefined,
  after: number | undefined,
  first: number | undefined,
): boolean {
  if (first !== undefined) return applyCursorsToEdges(allEdges, before, after).length > first;
  return before !== undefined;
}

/** By code points, as PostgreSQL's collation "C" compares UTF-8; JavaScript's `<` compares UTF-16 units. */
export function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The GraphQL server twice, without HTTP: one that compiles every document at once, and one that never does. */

import { readConfig } from '../../src/config.ts';
import type { Database } from '../../src/database/database.ts';
import type { Principal } from '../../src/domain/verification.ts';
import { queryLimits, turnsOfLoop } from '../../src/gateway.ts';
import { ExecutionGate } from '../../src/graphql/execution-gate.ts';
import { createGraphqlServer, type GraphqlServer } from '../../src/graphql/server.ts';
import { contextOf } from './context.ts';

const TURNS = turnsOfLoop();
const GATE = new ExecutionGate(1_000, 10_000);
const LIMITS = queryLimits(readConfig({}));

export interface Executors {
  readonly compiled: GraphqlServer;
  readonly interpreted: GraphqlServer;
  /** What was thrown that is no refusal. */
  readonly bugs: readonly unknown[];
}

export function makeExecutors(): Executors {
  const bugs: unknown[] = [];
  const onBug = (bug: unknown) => bugs.push(bug);
  return {
    compiled: createGraphqlServer(LIMITS, onBug, 0, TURNS, GATE),
    interpreted: createGraphqlServer(LIMITS, onBug, Number.POSITIVE_INFINITY, TURNS, GATE),
    bugs,
  };
}

export interface Asked {
  readonly query: string;
  readonly variables: object;
  readonly operationName?: string | undefined;
}

/** Status, headers and body of the answer, as text. */
export async function answerOf(
  server: GraphqlServer,
  database: Database,
  principal: Principal,
  asked: Asked,
): Promise<string> {
  const request = {
    method: 'POST',
    search: '',
    accept: undefined,
    body: JSON.stringify(asked),
    signal: new AbortController().signal,
    recheck: async () => null,
  } as const;
  const { status, headers, body } = await server.handle(request, contextOf(database, principal));
  return JSON.stringify([status, headers, withoutNow(body.toString())]);
}

const BEGUN = Date.now();

/** When a window opens again, or when a range of usage ends: no two answers have the same. */
function withoutNow(answer: string): string {
  return answer.replaceAll(/"(\d{4}-\d\d-\d\dT[\d:.]+Z)"/g, (quoted, time) =>
    Date.parse(time) < BEGUN ? quoted : '"now"',
  );
}

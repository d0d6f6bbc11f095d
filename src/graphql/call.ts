/**
 * What one operation carries through Yoga. Yoga copies it property by property, which would break a class: so the
 * resolvers' Context travels inside of it and takes its place when execution begins.
 */
import type { DocumentNode, ExecutionResult } from 'graphql';
import type { GatehouseError } from '../domain/errors.ts';
import type { Ticket } from '../domain/fair-gate.ts';
import type { Slices } from '../domain/turns.ts';
import type { Context } from './context.ts';
import type { Cost } from './cost.ts';

export interface GraphqlRequest {
  /** A HEAD is a GET here. */
  readonly method: 'GET' | 'POST';
  /** The query string of a GET, with its `?`. */
  readonly search: string;
  readonly accept: string | undefined;
  /** The JSON text of a POST. */
  readonly body: string | null;
  /** Ends the work when it fires. */
  readonly signal: AbortSignal;
  /** Looks the caller's token up again; null where it still counts. */
  readonly recheck: () => Promise<GatehouseError | null>;
}

export interface Carrier {
  readonly call: Call;
}

export interface Call {
  readonly context: Context;
  /** What was asked for, as it came. */
  readonly request: Pick<GraphqlRequest, 'method' | 'search' | 'signal' | 'body' | 'recheck'>;
  /** Once the document could be read. `operationName`: as it was sent. */
  asked: { readonly document: DocumentNode; readonly operationName: string | null } | null;
  operationName: string | null;
  /** Whether it is a change whose answer has its room, and is told whatever its size. */
  isReserved: boolean;
  /** Whether its answer was too large, as it was written at last. */
  isStopped: boolean;
  /** Known before execution. */
  cost: Cost | null;
  /** Of an operation whose answer may be long: what it is made in. Null: it is made in one go. */
  slices: Slices | null;
  /** Its place among what is under way; null where it needs none. */
  place: Ticket | null;
  result: ExecutionResult | null;
}

export function newCall(context: Context, request: Call['request']): Call {
  return {
    context,
    request,
    asked: null,
    operationName: null,
    isReserved: false,
    isStopped: false,
    cost: null,
    slices: null,
    place: null,
    result: null,
  };
}

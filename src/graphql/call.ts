/**
 * What one operation carries through Yoga. Yoga copies it property by property, which would break a class: so the
 * resolvers' Context travels inside of it and takes its place when execution begins.
 */
import type { DocumentNode, ExecutionResult } from 'graphql';
import type { Context } from './context.ts';
import type { Cost } from './cost.ts';

export interface Carrier {
  readonly call: Call;
}

export interface Call {
  readonly context: Context;
  /** Once the document could be read. `operationName`: as it was sent. */
  asked: { readonly document: DocumentNode; readonly operationName: string | null } | null;
  operationName: string | null;
  /** Whether anything may have been changed before an error: then the answer's status stays 200. */
  severalMutations: boolean;
  /** Known before execution. */
  cost: Cost | null;
  result: ExecutionResult | null;
}

export function newCall(context: Context): Call {
  return { context, asked: null, operationName: null, severalMutations: false, cost: null, result: null };
}

/** Keeps what was asked for, so that a change of keys that is refused before anything ran can be counted. */
import type { DocumentNode } from 'graphql';
import type { Plugin, YogaInitialContext } from 'graphql-yoga';
import type { Carrier } from '../call.ts';

/** Stands before all that may refuse a document. */
export const attempts: Plugin<object, Carrier> = {
  onParse({ context }) {
    const { call, params } = context as unknown as Carrier & Partial<YogaInitialContext>;
    return ({ result }) => {
      if (!isDocument(result)) return;
      call.asked = { document: result, operationName: params?.operationName ?? null };
    };
  },
};

function isDocument(result: unknown): result is DocumentNode {
  return typeof result === 'object' && result !== null && 'definitions' in result;
}

/**
 * Loads graphql-shield and what requires it. Shield asks for util.isUndefined, which Node 23 removed; its CommonJS build
 * reads it when it is loaded, so it is put back first, and the ESM build is never loaded (TRAPS: shield 7.6.5).
 */
import { createRequire } from 'node:module';
import util from 'node:util';

Object.assign(util, { isUndefined: (value: unknown) => value === undefined });

/** One of graphql-shield, graphql-middleware and graphql-rate-limit; say its type. */
export const requireShielded: (name: string) => unknown = createRequire(import.meta.url);

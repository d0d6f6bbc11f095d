import type { LimitState } from '../../domain/limit.ts';
import { builder } from '../builder.ts';
import type { Context } from '../context.ts';
import { cost, limitedFields, listSize } from '../directives.ts';

const LimitScopeEnum = builder.enumType('RateLimitScope', {
  description: 'Whose limit it is.',
  values: {
    KEY: { description: 'The one key that is calling.', value: 'key' },
    NETWORK: { description: 'All keys of the network together.', value: 'network' },
  } as const,
});

const RateLimitWindowRef = builder.objectRef<LimitState>('RateLimitWindow').implement({
  description: 'One limit as it stands, with this request counted.',
  extensions: cost(0),
  fields: (t) => ({
    name: t.exposeString('name', {
      description:
        '`requests`, `network-requests`, `cost` (points), `month` where the network has a quota, or the field that declares it (`@rateLimit`).',
    }),
    scope: t.expose('scope', { type: LimitScopeEnum, description: 'Whose requests it counts.' }),
    limit: t.exposeInt('max', { description: 'The most that the window may hold.' }),
    windowSeconds: t.exposeInt('windowSeconds', { description: 'How long the window is.' }),
    remaining: t.exposeInt('remaining', { description: 'What is left of it now.' }),
    resetAt: t.field({ type: 'DateTime', description: 'When all of it is there again.', resolve: resetAt }),
  }),
});

/** A query's limits, the requests of its key first. */
export type RateLimits = readonly [LimitState, ...LimitState[]];

export const RateLimitRef = builder.objectRef<RateLimits>('RateLimit').implement({
  description: "The caller's limits: first how many requests the key has left, then every window.",
  extensions: cost(0),
  fields: (t) => ({
    limit: t.int({ description: 'Requests of this key in any 60 seconds.', resolve: ([requests]) => requests.max }),
    remaining: t.int({
      description: 'Requests of this key that are left now.',
      resolve: ([requests]) => requests.remaining,
    }),
    resetAt: t.field({
      type: 'DateTime',
      description: 'When all of them are there again.',
      resolve: ([requests], args, context) => resetAt(requests, args, context),
    }),
    windows: t.field({
      type: [RateLimitWindowRef],
      description: 'Every limit, also those of fields that this request does not use.',
      extensions: listSize({ assumedSize: 5 }),
      resolve: (_limits, _args, { limits }, { schema }) => limits.windows(limitedFields(schema)),
    }),
  }),
});

function resetAt({ resetMs }: LimitState, _args: object, { limits }: Context): Date {
  return new Date(limits.wallMs() + resetMs);
}

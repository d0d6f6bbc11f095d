import { badInput } from '../../domain/errors.ts';
import {
  addUsage,
  BUCKET_MS,
  NO_USAGE,
  USAGE_BUCKETS_MAX,
  type UsageBucket,
  type UsageFigures,
  type UsageRange,
  usageRange,
} from '../../domain/usage.ts';
import { builder } from '../builder.ts';
import type { Context } from '../context.ts';
import { cost, listSize, requiresScopes } from '../directives.ts';
import type { UsageEntry } from '../loaders.ts';
import { ApiKeyRef } from './api-key.ts';
import { NetworkRef } from './network.ts';

const UsageBucketSize = builder.enumType('UsageBucketSize', {
  description: 'How long the time is that a bucket of usage covers. Each begins in UTC.',
  values: {
    MINUTE: { description: 'A minute.' },
    HOUR: { description: 'An hour.' },
    DAY: { description: 'A day.' },
  } satisfies Record<UsageBucket, { readonly description: string }>,
});

/** Whole numbers. GraphQL's Int ends at 2^31, which a network's cost of a year can pass. */
const FIGURES = {
  requests: 'All requests with a valid token, the next two among them.',
  errors: 'Requests that ended in an error, other than a refusal by a limit.',
  limited: 'Requests that a limit refused.',
  cost: 'The cost points that were spent.',
} as const satisfies Record<keyof UsageFigures, string>;

/** Points: a day by the minute is 1.44. */
const BUCKET_POINTS = 0.001;

const UsageBucketRef = builder.objectRef<UsageEntry>('UsageBucket').implement({
  description: 'Usage of one minute, hour or day.',
  extensions: cost(BUCKET_POINTS),
  fields: (t) => ({
    startsAt: t.expose('startsAt', { type: 'DateTime', description: 'The start of that time.' }),
    requests: t.exposeFloat('requests', { description: FIGURES.requests }),
    errors: t.exposeFloat('errors', { description: FIGURES.errors }),
    limited: t.exposeFloat('limited', { description: FIGURES.limited }),
    cost: t.exposeFloat('cost', { description: FIGURES.cost }),
  }),
});

interface Usage extends UsageFigures, UsageRange {
  /** Without the empty ones. */
  readonly entries: readonly UsageEntry[];
}

const UsageRef = builder.objectRef<Usage>('Usage').implement({
  description: 'Counted requests, in all and by bucket. It lags behind by the seconds between two flushes.',
  fields: (t) => ({
    since: t.expose('since', { type: 'DateTime', description: 'The start of the first bucket.' }),
    until: t.expose('until', { type: 'DateTime', description: 'The end of the last bucket.' }),
    requests: t.exposeFloat('requests', { description: FIGURES.requests }),
    errors: t.exposeFloat('errors', { description: FIGURES.errors }),
    limited: t.exposeFloat('limited', { description: FIGURES.limited }),
    cost: t.exposeFloat('cost', { description: FIGURES.cost }),
    buckets: t.field({
      type: [UsageBucketRef],
      extensions: listSize({ assumedSize: USAGE_BUCKETS_MAX }),
      description: 'Every bucket from `since` to `until` in order, those without a request too: a chart as it stands.',
      resolve: everyBucket,
    }),
  }),
});

function everyBucket({ bucket, since, until, entries }: Usage): UsageEntry[] {
  const found = new Map(entries.map((entry) => [entry.startsAt.getTime(), entry]));
  const length = (until.getTime() - since.getTime()) / BUCKET_MS[bucket];
  return Array.from({ length }, (_, index) => {
    const startsAt = since.getTime() + index * BUCKET_MS[bucket];
    return found.get(startsAt) ?? { ...NO_USAGE, startsAt: new Date(startsAt) };
  });
}

const usageArgs = builder.args((t) => ({
  since: t.field({
    type: 'DateTime',
    description: 'Rounded down to its bucket. Absent: the last 60 minutes, 24 hours or 30 days before `until`.',
  }),
  until: t.field({
    type: 'DateTime',
    description: `Rounded up to its bucket; absent: now. At most ${USAGE_BUCKETS_MAX} buckets after \`since\`.`,
  }),
  bucket: t.field({
    type: UsageBucketSize,
    required: true,
    defaultValue: 'HOUR',
    description: 'How long the time is that each bucket covers.',
  }),
}));

type UsageArgs = Parameters<typeof usageRange>[0];

async function usageOf(keyId: string | null, args: UsageArgs, context: Context): Promise<Usage> {
  const range = usageRange(args, new Date(context.limits.wallMs()), context.usageRetention);
  if ('message' in range) throw badInput(range.message, range.field);
  const entries = await context.loaders.usage(range, keyId);
  return { ...range, entries, ...entries.reduce(addUsage, NO_USAGE) };
}

builder.objectField(ApiKeyRef, 'usage', (t) =>
  t.field({
    type: UsageRef,
    description: 'How much the key was used.',
    extensions: requiresScopes('usage:read'),
    args: usageArgs,
    resolve: ({ id }, args, context) => usageOf(id, args, context),
  }),
);

builder.objectField(NetworkRef, 'usage', (t) =>
  t.field({
    type: UsageRef,
    description: 'How much all keys together were used, deleted ones too.',
    extensions: requiresScopes('usage:read'),
    args: usageArgs,
    resolve: (_network, args, context) => usageOf(null, args, context),
  }),
);

builder.objectField(ApiKeyRef, 'lastUsedAddress', (t) =>
  t.string({
    nullable: true,
    description:
      'From where the key was used last, as a block of addresses: /24 of IPv4, /48 of IPv6. It is not more exact anywhere.',
    resolve: ({ lastUsedAddress }) => lastUsedAddress,
  }),
);

/** The gateway as it is, but for its windows: every charge is let in without being counted. What they cost is the rest. */
import { MemoryLimiter } from '../../../src/limits/memory-limiter.ts';

MemoryLimiter.prototype.take = (group, charges) => ({
  granted: true,
  windows: charges.map(({ max }) => ({ max, used: 0, resetMs: 0, retryMs: 0 })),
  receipt: { group, second: 0, redisSecond: null },
});

await import('../../../src/main.ts');

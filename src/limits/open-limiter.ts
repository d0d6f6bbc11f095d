/** The limiter that the settings ask for. */
import type { Limiter, LimiterStatus } from './limiter.ts';
import { MemoryLimiter } from './memory-limiter.ts';
import { RedisWindows } from './redis-windows.ts';
import { SharedLimiter } from './shared-limiter.ts';

export interface LimiterSettings {
  /** Absent: limits are kept in this process. */
  readonly redisUrl?: string | undefined;
  /** Before every key; gateways with the same one share their limits. */
  readonly redisPrefix: string;
  /** An id of this process. */
  readonly gateway: string;
  /** As many gateways are reckoned with at the least where a limit is divided among them. */
  readonly gatewaysAtLeast: number;
  /** Milliseconds of a clock that never goes back; absent: the process's own. */
  readonly now?: (() => number) | undefined;
  /** Told of each change between deciding with Redis and deciding by the share. */
  readonly onChange: (status: LimiterStatus, reason: string) => void;
}

/** Never waits long for Redis: where it does not answer, the limiter begins degraded. */
export async function openLimiter(settings: LimiterSettings): Promise<Limiter> {
  const { redisUrl, redisPrefix, gateway, gatewaysAtLeast, now, onChange } = settings;
  const own = new MemoryLimiter(now);
  if (redisUrl === undefined) return own;
  const redis = new RedisWindows(redisUrl, redisPrefix, gateway, () => limiter.lost());
  const limiter = new SharedLimiter(redis, own, gatewaysAtLeast, onChange);
  await limiter.start();
  return limiter;
}

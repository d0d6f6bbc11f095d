/** The limits that the settings ask for: the limiter, the months, and the meter over both. */
import type { Database } from '../database/database.ts';
import { toId } from '../domain/id.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Limiter } from './limiter.ts';
import { Meter } from './meter.ts';
import { MonthCounter, type MonthEvents } from './month-counter.ts';
import { type LimiterSettings, openLimiter } from './open-limiter.ts';

export interface LimitsSettings extends Omit<LimiterSettings, 'onChange'> {
  /** Whether everything is counted and nothing refused. */
  readonly measure: boolean;
}

export interface Limits {
  readonly limiter: Limiter;
  readonly meter: Meter;
  close(): Promise<void>;
}

/** Never waits long for Redis: where it does not answer, the limits begin degraded. */
export async function openLimits(
  settings: LimitsSettings,
  database: Pick<Database, 'pool' | 'clock'>,
  log: Logger,
  metrics: Metrics,
): Promise<Limits> {
  const limiter = await openLimiter({
    ...settings,
    onChange(status, reason) {
      if (status === 'ok') return log.info({ reason }, 'limits are shared through Redis again');
      metrics.limiterOutage();
      log.warn({ reason }, 'limits are decided by this gateway alone, within its share');
    },
  });
  metrics.watch({
    limiterDegraded: () => (limiter.status === 'ok' ? 0 : 1),
    limiterGateways: () => limiter.gateways,
  });
  const wallClock = () => database.clock.now();
  const months = openMonths(database, log);
  return {
    limiter,
    meter: new Meter(limiter, months, settings.measure, (limit) => metrics.limited(limit), settings.now, wallClock),
    async close() {
      await months.close();
      await limiter.close();
    },
  };
}

function openMonths(database: Pick<Database, 'pool' | 'clock'>, log: Logger): MonthCounter {
  let isFailing = false;
  const events: MonthEvents = {
    onCrossed: ({ networkId, quota, requests }, percent) =>
      log.warn(
        { networkId: toId('Network', networkId), quota, requests, percent },
        'a network has used this part of its monthly quota',
      ),
    onError(error) {
      // Once an outage: it is tried every two seconds.
      if (!isFailing)
        log.warn({ error }, 'the requests of the month could not be stored; they are kept and tried again');
      isFailing = true;
    },
    onRecovered() {
      isFailing = false;
      log.info('the requests of the month are stored again');
    },
  };
  return new MonthCounter(database, events, () => new Date(database.clock.now()));
}

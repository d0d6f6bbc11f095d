/** What Prometheus can ask for (https://prometheus.io/docs/instrumenting/exposition_formats/). */
import { Counter, Gauge, Registry } from 'prom-client';

/** Read when somebody asks. */
export interface Gauges {
  /** 1 while this gateway decides limits by its share, because Redis does not answer or has only just come back. */
  readonly limiterDegraded: () => number;
  readonly limiterGateways: () => number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #refused = new Counter({
    name: 'gatehouse_limited_requests_total',
    help: 'Requests over a limit, by its name; refused, or in measure mode only counted',
    labelNames: ['limit'],
    registers: [this.#registry],
  });
  readonly #outages = new Counter({
    name: 'gatehouse_limiter_outages_total',
    help: 'How often the limiter fell back to its share of the limits',
    registers: [this.#registry],
  });

  get contentType(): string {
    return this.#registry.contentType;
  }

  watch({ limiterDegraded, limiterGateways }: Gauges): void {
    this.#gauge('gatehouse_limiter_degraded', '1 while limits are decided by a share, without Redis', limiterDegraded);
    this.#gauge('gatehouse_limiter_gateways', 'Gateways that share the limits, as far as is known', limiterGateways);
  }

  /** `bytes`: now. */
  watchHeldBytes(bytes: () => number): void {
    this.#gauge('gatehouse_held_bytes', 'Bytes of requests under way and of answers that wait to be read', bytes);
  }

  /** `totals`: of this process, by the reason. */
  watchRefusedTokens(totals: () => Readonly<Record<string, number>>): void {
    new Counter({
      name: 'gatehouse_refused_tokens_total',
      help: 'Requests whose token was not let in, by the reason',
      labelNames: ['reason'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [reason, count] of Object.entries(totals())) this.inc({ reason }, count);
      },
    });
  }

  limited(limit: string): void {
    this.#refused.inc({ limit });
  }

  limiterOutage(): void {
    this.#outages.inc();
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}

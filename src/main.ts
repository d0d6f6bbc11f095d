/** `npm start`: settings → gateway → signals. The only place that ends the process. */

import { banner } from './banner.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { EmbeddedError } from './database/embedded/errors.ts';
import { databaseFault } from './database/faults.ts';
import { MigrationError } from './database/migrate/migration-error.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { createLogger, type Logger } from './observability/logger.ts';

/** Past the shutdown's own bound, something hangs. */
const EXIT_GRACE_MS = 5_000;

async function main(): Promise<void> {
  const config = readConfig();
  const log = createLogger(config.LOG_LEVEL);
  const gateway = await startGateway(config, log);
  for (const notice of gateway.notices) log.warn(notice);
  log.info({ url: gateway.url }, 'listening');
  // On standard output and not through the log: a token that is shown once must not be kept in a log.
  process.stdout.write(banner(config, gateway));
  endOnSignals(config, log, gateway);
}

function endOnSignals(config: Config, log: Logger, gateway: Gateway): void {
  let ending = false;
  const end = async (signal: string) => {
    if (ending) return;
    ending = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), config.SHUTDOWN_TIMEOUT_MS + EXIT_GRACE_MS).unref();
    await gateway.close();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      end(signal).catch((error: unknown) => {
        log.fatal({ error }, 'stopping failed');
        process.exit(1);
      });
    });
  }
}

/** One clear sentence for what an operator can mend; the whole error for a bug. */
function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof EmbeddedError || error instanceof MigrationError)
    return error.message;
  if (error instanceof Error && 'code' in error) {
    if (error.code === 'EADDRINUSE') return 'The port is taken by another program: end it, or set PORT to a free one.';
    if (error.code === 'EACCES') return 'The port may not be used by this user: set PORT to one above 1023.';
    if (error.code === 'EADDRNOTAVAIL') return 'HOST is no address of this machine.';
  }
  if (databaseFault(error) !== null)
    return 'The database of DATABASE_URL is out of reach: see that it runs and that the address is right.';
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}

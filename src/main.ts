/** `npm start`: settings → gateway → signals. The only place that ends the process. */

import { banner } from './banner.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { EmbeddedError } from './database/embedded/errors.ts';
import { type DatabaseFault, databaseFault } from './database/faults.ts';
import { MigrationError } from './database/migrate/migration-error.ts';
import { SessionError } from './database/session-client.ts';
import { redactLine } from './domain/redaction.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { ListenError } from './http/listen-error.ts';
import { createLogger, type Logger } from './observability/logger.ts';

/** Past the shutdown's own bound, something hangs. */
const EXIT_GRACE_MS = 5_000;

async function main(): Promise<void> {
  const config = readConfig();
  const log = createLogger(config.LOG_LEVEL);
  const starting = startGateway(config, log);
  // From now on, not once it is up: a start that is interrupted closes what it has opened.
  endOnSignals(config, log, starting);
  const gateway = await starting;
  for (const notice of gateway.notices) log.warn(notice);
  log.info({ url: gateway.url }, 'listening');
  // On standard output and not through the log: a token that is shown once must not be kept in a log.
  process.stdout.write(banner(config, gateway));
}

function endOnSignals(config: Config, log: Logger, starting: Promise<Gateway>): void {
  let ending = false;
  const end = async (signal: string) => {
    if (ending) return;
    ending = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), config.SHUTDOWN_TIMEOUT_MS + EXIT_GRACE_MS).unref();
    // Where the start fails, main says why and ends the process.
    await (await starting).close();
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
  if (error instanceof Error && OWN_ERRORS.some((kind) => error instanceof kind)) return error.message;
  if (!(error instanceof Error)) return String(error);
  // Whoever is not let in at the start has to mend it; later, the same may pass by itself.
  const refusal = refusalByDatabase(error);
  if (refusal !== null) return refusal;
  const fault = databaseFault(error);
  return fault === null ? (error.stack ?? error.message) : FAULTS[fault];
}

const FAULTS: Readonly<Record<DatabaseFault, string>> = {
  unreachable: 'The database of DATABASE_URL is out of reach: see that it runs and that the address is right.',
  'read-only': 'The database of DATABASE_URL is read-only, and has to be updated: start again once it can be written.',
  busy: 'The database of DATABASE_URL cannot do this now (it lacks connections, memory or disk space, or waits for others): start again when it can.',
  timeout: 'The database of DATABASE_URL took too long: start again.',
};

/** Their messages are sentences. */
const OWN_ERRORS = [ConfigError, EmbeddedError, ListenError, MigrationError, SessionError];

/** The server is there and does not let us in. */
function refusalByDatabase(error: Error): string | null {
  const code = 'code' in error ? String(error.code) : '';
  if (code === '3D000') return 'The database that DATABASE_URL names does not exist: create it, or correct the name.';
  if (code.startsWith('28'))
    return 'The database of DATABASE_URL does not let this user in: see its name and password.';
  if (error.message !== 'The server does not support SSL connections') return null;
  return 'The database of DATABASE_URL has no TLS: set it up there, or leave sslmode out.';
}

// Node itself would print every property of the error, and PostgreSQL's `detail` holds the row that was refused.
process.on('uncaughtException', (error) => {
  createLogger('fatal').fatal({ error }, 'a bug that nobody caught');
  process.exit(1);
});
// A promise that was left behind has broken nothing that others stand on, and one request must not end all the others.
process.on('unhandledRejection', (error) => {
  createLogger('error').error({ error }, 'a promise that nobody waited for has failed');
});

try {
  await main();
} catch (error) {
  process.stderr.write(`${redactLine(explain(error))}\n`);
  process.exit(1);
}

/**
 * The parameters of DATABASE_URL. Those that say how to reach the server are pg's; `options` are added to ours; what
 * would take the place of a setting of ours, or what nobody here reads, is taken out and reported.
 */

/** How to reach the server, and what it calls the session (https://node-postgres.com/features/connecting). */
const KEPT: ReadonlySet<string> = new Set([
  'host',
  'port',
  'user',
  'password',
  'ssl',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslrootcert',
  'sslnegotiation',
  'uselibpqcompat',
  'application_name',
  'fallback_application_name',
]);

export interface ConnectionUrl {
  readonly url: string;
  /** The operator's own, as PostgreSQL's startup packet has them; empty: none. */
  readonly options: string;
  /** The names of the parameters that have no effect here. */
  readonly ignored: readonly string[];
}

export function readConnectionUrl(text: string): ConnectionUrl {
  const url = new URL(text);
  const options = url.searchParams.getAll('options').join(' ');
  const ignored = [...new Set(url.searchParams.keys())].filter((name) => name !== 'options' && !KEPT.has(name));
  if (options === '' && ignored.length === 0) return { url: text, options, ignored };
  for (const name of ['options', ...ignored]) url.searchParams.delete(name);
  return { url: url.href, options, ignored };
}

/** A sentence for the operator; null where every parameter has its effect. */
export function ignoredNotice(ignored: readonly string[]): string | null {
  if (ignored.length === 0) return null;
  return (
    `These parameters of DATABASE_URL have no effect: ${ignored.join(', ')}. ` +
    "Gatehouse sets its sessions' settings and time limits itself, and keeps its tables in the schema public."
  );
}

/** A cable to the database that a test can pull out, or through which nothing comes while it stays plugged in. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';

/** What a connection through the cable swallows: what the gateway sends, what the database sends, or both. */
export type Silence = 'requests' | 'answers' | 'both';

export interface Cable {
  /** The database's URL by way of the cable. */
  url(databaseUrl: string): Promise<string>;
  /** Breaks every connection and lets no new one in. */
  pull(): Promise<void>;
  plugIn(): Promise<void>;
  /** Connections through it, now. */
  readonly connections: number;
  /** How many of them swallow bytes. */
  readonly silent: number;
  /**
   * Those that are open now stay open and swallow bytes for ever. `newOnes`: and so does each that is opened before
   * `mend`. `oneIn`: of those that are open, one in so many.
   */
  silence(what?: Silence, options?: { readonly newOnes?: boolean; readonly oneIn?: number }): void;
  /** New connections are good again; silent ones stay silent. */
  mend(): void;
}

interface Line {
  silence: Silence | null;
}

export function openCable(): Cable {
  let target: NetConnectOpts | null = null;
  let silenceOfNew: Silence | null = null;
  const sockets = new Set<Socket>();
  const lines = new Set<Line>();
  const server = createServer((near) => {
    if (target === null) return void near.destroy();
    const far = connect(target);
    const line: Line = { silence: silenceOfNew };
    lines.add(line);
    near.on('close', () => lines.delete(line));
    for (const [from, to, what] of [[near, far, 'requests'] as const, [far, near, 'answers'] as const]) {
      sockets.add(from);
      from.on('error', () => undefined); // a broken cable is what this is for
      from.on('close', () => {
        sockets.delete(from);
        // A firewall that has forgotten a connection does not pass its end on, either.
        if (line.silence === null || from === near) to.destroy();
      });
      from.on('data', (piece) => {
        if (line.silence === what || line.silence === 'both') return;
        if (!to.write(piece)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
      from.on('end', () => {
        if (line.silence === null) to.end();
      });
    }
  });
  let port = 0;
  const plugIn = async () => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  };
  return {
    plugIn,
    async url(databaseUrl) {
      const url = new URL(databaseUrl);
      // An embedded server is reached by a socket in a folder, which its URL names as `host`.
      const folder = url.searchParams.get('host');
      const databasePort = Number(url.searchParams.get('port') ?? (url.port === '' ? '5432' : url.port));
      target = folder?.startsWith('/')
        ? { path: `${folder}/.s.PGSQL.${databasePort}` }
        : { host: url.hostname, port: databasePort };
      await plugIn();
      url.search = '';
      url.host = `127.0.0.1:${port}`;
      return url.href;
    },
    async pull() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    get connections() {
      return lines.size;
    },
    get silent() {
      return [...lines].filter(({ silence }) => silence !== null).length;
    },
    silence(what = 'both', { newOnes = false, oneIn = 1 } = {}) {
      for (const [index, line] of [...lines].entries()) if (index % oneIn === 0) line.silence = what;
      silenceOfNew = newOnes ? what : null;
    },
    mend() {
      silenceOfNew = null;
    },
  };
}

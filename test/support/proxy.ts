/** A cable to the database that a test can pull out. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';

export interface Cable {
  /** The database's URL by way of the cable. */
  url(databaseUrl: string): Promise<string>;
  /** Breaks every connection and lets no new one in. */
  pull(): Promise<void>;
  plugIn(): Promise<void>;
}

export function openCable(): Cable {
  let target: NetConnectOpts | null = null;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    if (target === null) return void near.destroy();
    const far = connect(target);
    for (const [from, to] of [[near, far] as const, [far, near] as const]) {
      sockets.add(from);
      from.on('error', () => undefined); // a broken cable is what this is for
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
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
  };
}

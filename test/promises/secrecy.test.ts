// Promise 5: a secret is seen once. A broad mix of what goes well, badly and wrong, on two gateways and the command
// line, with all that they print, log, answer and store kept and searched.
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { toId } from '../../src/domain/id.ts';
import { digestOf, mintToken } from '../../src/domain/token.ts';
import { dataFolder } from '../support/data-folder.ts';
import { everyRow } from '../support/every-row.ts';
import { makeKey, makeNetwork } from '../support/fixtures.ts';
import { hold } from '../support/lock.ts';
import { type GatewayProgram, metricsOf, printedToken, runCommand, startGatewayProgram } from '../support/program.ts';
import { post, type RawReply, type RawRequest, send, sendBytes } from '../support/raw-http.ts';
import { mistyped } from '../support/refusals.ts';

const STATEMENT_TIMEOUT_MS = 400;
/** In every address that is made here, so that a piece of one is found too. */
const MARK = `m${randomBytes(5).toString('hex')}`;
const ADMIN_EMAIL = `admin.${MARK}@example.test`;
const MEMBER_EMAIL = `member.${MARK}@example.test`;

/** All tokens that there were, also those that were never let in. */
const tokens: string[] = [];
/** What was sent, and what came back. */
const exchanges: { readonly sent: string; readonly reply: RawReply }[] = [];
const commands: {
  readonly args: readonly string[];
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}[] = [];

let dataDir = '';
let gateways: readonly GatewayProgram[] = [];
let urls: readonly string[] = [];
let rows = '';
let audited = '';
/** All that the API and the command line show of the audit trail, of usage and of refusals, and Prometheus is told. */
let recorded = '';
let rowsBesideSecrets = '';

beforeAll(async () => {
  dataDir = await dataFolder();
  const settings = {
    DATA_DIR: dataDir,
    LOG_LEVEL: 'trace',
    STATEMENT_TIMEOUT_MS: String(STATEMENT_TIMEOUT_MS),
    USAGE_FLUSH_INTERVAL_MS: '100',
    METRICS_PORT: '0',
  };
  const first = startGatewayProgram(settings);
  await first.url;
  const second = startGatewayProgram(settings);
  gateways = [first, second];
  urls = await Promise.all(gateways.map(({ url }) => url));
  tokens.push(printedToken(first) ?? '');
  const database = await openDatabase({ dataDir, poolSize: 3, statementTimeoutMs: 30_000 });
  await useCommands();
  await askGatewaysAll(database);
  await breakThings(database);
  await command(['key', 'list', '--network', 'demo']);
  recorded = [await readRecord(database), ...(await Promise.all(gateways.map(metricsOf)))].join('\n');
  rows = await everyRow(database);
  rowsBesideSecrets = await everyRow(database, 'secrets');
  audited = JSON.stringify(await database.prisma.auditEvent.findMany());
  await database.close();
  for (const gateway of gateways) await gateway.kill('SIGTERM');
}, 120_000);

async function command(args: readonly string[], input?: string): Promise<string> {
  const outcome = await runCommand(args, { DATA_DIR: dataDir }, input);
  commands.push({ args, ...outcome });
  return outcome.stdout;
}

async function useCommands(): Promise<void> {
  const network = ['--network', MARK];
  await command(['network', 'create', '--slug', MARK, '--name', 'Secrecy']);
  await command(['admin', 'create', ...network, '--email', ADMIN_EMAIL, '--name', 'Ada']);
  // Refused, and by PostgreSQL: its detail quotes the address.
  await command(['admin', 'create', ...network, '--email', ADMIN_EMAIL.toUpperCase(), '--name', 'Ada']);
  const people = `email,name\n${MEMBER_EMAIL},Member\nnot an address ${MARK},Nobody\n${MEMBER_EMAIL},"quo"te\n`;
  await command(['member', 'import', ...network, '-'], people);
  const made = await command([
    '--json',
    'key',
    'create',
    ...network,
    '--name',
    'CI',
    '--scope',
    'members:read,members:email',
  ]);
  const { id, token } = JSON.parse(made);
  tokens.push(token);
  await command(['key', 'create', ...network, '--name', 'CI', '--scope', 'members:read']);
  tokens.push(JSON.parse(await command(['--json', 'key', 'rotate', ...network, id, '--overlap', '1h'])).token);
  const gone = JSON.parse(
    await command(['--json', 'key', 'create', ...network, '--name', 'gone', '--scope', 'members:read']),
  );
  tokens.push(gone.token);
  await command(['key', 'update', ...network, gone.id, '--note', `its token is ${gone.token}`]);
  await command(['key', 'revoke', ...network, gone.token]);
  await command(['key', 'revoke', ...network, '-'], mintToken('LIVE'));
  await command(['key', 'show', ...network, id]);
}

/** To both gateways. */
async function ask(options: RawRequest): Promise<RawReply> {
  const replies = await Promise.all(urls.map((url) => send(url, options)));
  for (const reply of replies) exchanges.push({ sent: JSON.stringify(options), reply });
  return replies[0] as RawReply;
}

async function askGatewaysAll(database: Database): Promise<void> {
  const { network, admin, apiKey, token } = await makeNetwork(database);
  const revoked = await makeKey(database, network.id, { adminId: admin.id });
  const expired = await makeKey(database, network.id, { adminId: admin.id });
  await database.pool.query('UPDATE api_keys SET revoked_at = now(), revoked_by_kind = $2 WHERE id = $1', [
    revoked.apiKey.id,
    'COMMAND_LINE',
  ]);
  await database.pool.query(`UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = $1`, [
    expired.apiKey.id,
  ]);
  const few = await makeKey(database, network.id, { adminId: admin.id, scopes: [] });
  const [, shown = '', ci = ''] = [tokens, tokens[0], tokens[1]];
  const unknown = mintToken('LIVE');
  tokens.push(token, revoked.token, expired.token, few.token, unknown, mistyped(token));

  await ask(
    post(token, '{ me { name email rateLimit: plan } network { name } apiKeys { nodes { name redactedToken } } }'),
  );
  await ask(post(ci, `{ members { nodes { id name email } } member(email: "${MEMBER_EMAIL}") { id email } }`));
  await ask(post(shown, `{ me { email } node(id: "${toId('ApiKey', apiKey.id)}") { id } }`));
  for (const bad of [
    revoked.token,
    expired.token,
    few.token,
    unknown,
    mistyped(token),
    `${token} ${token}`,
    MEMBER_EMAIL,
  ]) {
    await ask(post(bad, `{ member(email: "${MEMBER_EMAIL}") { id } apiKeys { nodes { id } } }`));
  }
  await ask({
    ...post(null, '{ me { id } }'),
    headers: { authorization: `Basic ${token}`, 'content-type': 'application/json' },
  });

  // A token or an address where neither belongs.
  const documents = [
    `query ${token} { me { id } }`,
    `{ ${token} }`,
    `{ me { ${token}: id } }`,
    `{ me { id } } # ${token} ${MEMBER_EMAIL}`,
    `{ member(email: "${MEMBER_EMAIL}" id: ${token}) { id } }`,
    `{ members(first: "${MEMBER_EMAIL}") { nodes { id } } }`,
    `{ members(after: "${token}") { nodes { id } } }`,
    `{ node(id: "${token}") { id } member(email: "${token}") { id } }`,
    `{ members(filter: { ${token}: "${MEMBER_EMAIL}" }) { nodes { id } } }`,
    `{ "${MEMBER_EMAIL}`,
    `{ ${'a { '.repeat(50)} ${token} ${'}'.repeat(50)} }`,
  ];
  for (const document of documents) await ask(post(token, document));
  const variables = { first: MEMBER_EMAIL, after: token, email: { is: MEMBER_EMAIL } };
  const typed =
    'query ($first: Int, $after: String, $email: String) { members(first: $first, after: $after) { nodes { id } } member(email: $email) { id } }';
  await ask({ ...post(token, ''), body: JSON.stringify({ query: typed, variables, operationName: token }) });
  await ask({ ...post(token, ''), body: `{"query": "{ me { id } }", "token": "${token}", ${MEMBER_EMAIL}` });
  await ask({ ...post(token, ''), body: `"${token}" ${MEMBER_EMAIL} `.repeat(30_000) });
  await ask({
    ...post(token, '{ me { id } }'),
    headers: { authorization: `Bearer ${token}`, 'content-type': `text/${token}` },
  });
  const addresses = [
    `/${token}/${MEMBER_EMAIL}`,
    `/networks/${token}/graphql`,
    `/networks/${MEMBER_EMAIL}/graphql`,
    `/graphql?access_token=${token}&email=${MEMBER_EMAIL}`,
    `/graphql?query=${encodeURIComponent(`{ member(email: "${MEMBER_EMAIL}") { ${token} } }`)}`,
    `/healthz?${token}`,
  ];
  for (const path of addresses) {
    await ask({ ...post(token, '{ me { id } }'), path });
    await ask({ method: 'GET', path, headers: { authorization: `Bearer ${token}`, host: `${MARK}.test` } });
  }
  for (const url of urls) {
    await sendBytes(url, `${token} ${MEMBER_EMAIL}\r\n\r\n`);
    await sendBytes(url, `GET /${token} HTTP/1.1\r\nx: ${token.repeat(400)} ${MEMBER_EMAIL}\r\n\r\n`);
  }

  // Made and ended by programs; the same name twice is refused by PostgreSQL, whose detail quotes it.
  const made = await Promise.all(
    urls.map((url) =>
      send(
        url,
        post(
          token,
          'mutation { createApiKey(input: { name: "twice", scopes: [MEMBERS_READ] }) { token userErrors { message } } }',
        ),
      ),
    ),
  );
  for (const reply of made) {
    const given = JSON.parse(reply.text).data.createApiKey.token;
    if (given !== null) tokens.push(given);
  }
  await ask(
    post(token, `mutation { revokeApiKey(input: { id: "${toId('ApiKey', few.apiKey.id)}" }) { apiKey { status } } }`),
  );
  await ask(post(token, `mutation { revokeApiKey(input: { id: "${few.token}" }) { userErrors { message } } }`));
  await changeKeys(database, token);
}

/** Each change of a key, with a token or an address wherever a caller can put one. */
async function changeKeys(database: Database, token: string): Promise<void> {
  const { network, admin, token: own } = await makeNetwork(database);
  const key = await makeKey(database, network.id, { adminId: admin.id });
  tokens.push(own, key.token);
  const id = toId('ApiKey', key.apiKey.id);
  const [near = ''] = urls;
  const rotate = `mutation { rotateApiKey(input: { id: "${id}", overlapSeconds: 600 }) { token } }`;
  const named = { 'user-agent': `ci ${token} ${MEMBER_EMAIL}`, 'x-forwarded-for': token };
  const { text } = await send(near, post(own, rotate, named));
  tokens.push(JSON.parse(text).data.rotateApiKey.token);
  for (const field of ['name', 'note']) {
    await ask(
      post(
        own,
        `mutation { updateApiKey(input: { id: "${id}", ${field}: "${key.token}" }) { userErrors { message } } }`,
      ),
    );
  }
  await ask(
    post(
      own,
      `mutation { updateApiKey(input: { id: "${id}", allowedAddresses: ["${token}"] }) { userErrors { message } } }`,
    ),
  );
  await ask(
    post(
      own,
      `mutation { revokeApiKeys(input: { ids: ["${key.token}"], reason: "${token}" }) { userErrors { message } } }`,
    ),
  );
  const report = (body: unknown): RawRequest => ({
    path: '/leaked-tokens',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  await ask(report({ tokens: [key.token, 1], where: token }));
  await ask(report(`{"tokens": ["${key.token}`));
  await ask(report({ tokens: [key.token], where: `${token} of ${MEMBER_EMAIL}` }));
}

const CREATE = 'mutation { createApiKey(input: { name: "broken", scopes: [] }) { token } }';

/** Bugs and faults, by PostgreSQL's own means: errors that quote all there is to quote. */
async function breakThings(database: Database): Promise<void> {
  const { network, token } = await makeNetwork(database);
  tokens.push(token);
  const faults = [
    // What PostgreSQL says of a row, in its message, detail and hint.
    ['secrets', `RAISE EXCEPTION 'of %', NEW USING DETAIL = NEW::text, HINT = NEW::text`],
    [
      'secrets',
      `RAISE unique_violation USING MESSAGE = encode(NEW.digest, 'hex'), DETAIL = encode(NEW.digest, 'base64')`,
    ],
    ['audit_events', `RAISE EXCEPTION 'while ${MEMBER_EMAIL} is told' USING DETAIL = '${MEMBER_EMAIL}'`],
    // In two halves, so that the function that is stored does not hold it.
    ['audit_events', `RAISE EXCEPTION USING MESSAGE = '${token.slice(0, 14)}' || '${token.slice(14)}'`],
    ['audit_events', 'PERFORM pg_terminate_backend(pg_backend_pid())'],
  ] as const;
  for (const [table, what] of faults) {
    await database.pool.query(`
      CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${what}; RETURN NEW; END $$;
      CREATE TRIGGER fault BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION fault()`);
    await ask(post(token, CREATE));
    await command(['key', 'create', '--network', MARK, '--name', 'broken', '--scope', 'members:read']);
    await database.pool.query('DROP FUNCTION fault() CASCADE');
  }
  const lock = await hold(database.pool, 'LOCK TABLE members IN ACCESS EXCLUSIVE MODE');
  await ask(post(token, `{ member(email: "${MEMBER_EMAIL}") { id } }`));
  await lock.release();
  await database.pool.query('ALTER TABLE members RENAME COLUMN email_folded TO folded');
  await ask(post(token, `{ member(email: "${MEMBER_EMAIL}") { id } members { nodes { email } } }`));
  await database.pool.query('ALTER TABLE members RENAME COLUMN folded TO email_folded');
  await database.pool
    .query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gatehouse' AND pid <> pg_backend_pid()`,
    )
    .catch(() => undefined);
  while ((await ask(post(token, '{ me { id } }'))).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 20));
  await database.prisma.network.update({ where: { id: network.id }, data: { suspendedAt: new Date() } });
  await ask(post(token, '{ me { id } }'));
}

/** Tokens and addresses in every place that the record takes from a caller, and then all that it shows. */
async function readRecord(database: Database): Promise<string> {
  const { network, admin, token } = await makeNetwork(database);
  const few = await makeKey(database, network.id, { adminId: admin.id, scopes: [] });
  tokens.push(token, few.token);
  const told = { 'user-agent': `curl ${token} ${MEMBER_EMAIL}`, 'x-forwarded-for': `${token}, ${MEMBER_EMAIL}` };
  const create = `mutation ${few.token} { createApiKey(input: { name: "agent", scopes: [] }) { apiKey { id } } }`;
  const [made] = await Promise.all([
    send(urls[0] ?? '', post(token, create, told)),
    ask(post(few.token, create, told)),
    ask(post(token, `mutation { revokeApiKey(input: { id: "${few.token}" }) { userErrors { code } } }`, told)),
  ]);
  expect(JSON.parse(made.text).data.createApiKey.apiKey).not.toBeNull();
  await database.pool.query('UPDATE api_keys SET expires_at = now() WHERE id = $1', [few.apiKey.id]);
  await ask(post(few.token, '{ me { id } }', told));
  const figures = 'requests errors limited cost';
  const query = `{ auditEvents { nodes { action actorId subjectId details requestId address userAgent } }
    authenticationFailures { nodes { keyId reason count } } refusedAttempts { nodes { keyId action code count } }
    network { usage(bucket: MINUTE) { ${figures} } }
    apiKeys { nodes { lastUsedAt lastUsedAddress usage(bucket: DAY) { ${figures} } } } }`;
  const answer = await vi.waitFor(
    async () => {
      const { text } = await send(urls[1] ?? '', post(token, query));
      if (!/"authenticationFailures":{"nodes":\[{.*"refusedAttempts":{"nodes":\[{/.test(text)) throw new Error(text);
      return text;
    },
    { timeout: 15_000 },
  );
  const slugs = [network.slug, 'demo'].map((slug) => ['--network', slug]);
  const printed = await Promise.all(
    slugs.flatMap((slug) => [command(['audit', 'list', ...slug]), command(['key', 'usage', ...slug])]),
  );
  return [answer, ...printed].join('\n');
}

/** Twelve characters of a token's randomness: a list shows four of its start and four of its end. */
function pieceOf(token: string): string {
  return token.slice('gk_live_'.length, 'gk_live_'.length + 12);
}

function digests(): string[] {
  return tokens.flatMap((token) => {
    const digest = digestOf(token);
    return [digest.toString('hex'), digest.toString('base64').slice(0, 43), digest.toString('base64url')];
  });
}

const ADDRESS = /[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+\.[\p{L}\p{N}.-]+/u;

function tokensIn(text: string): string[] {
  const low = text.toLowerCase();
  return [
    ...tokens.map(pieceOf).filter((piece) => text.includes(piece)),
    ...digests().filter((digest) => low.includes(digest.toLowerCase())),
  ];
}

/** What of the secrets is in a text. `known`: what whoever reads it said themselves. */
function secretsIn(text: string, known = ''): string[] {
  const low = text.toLowerCase();
  const found = [
    ...tokensIn(text),
    ...[MARK, 'ada@demo.example', ...(ADDRESS.exec(text) ?? [])].filter((address) => low.includes(address)),
  ];
  return found.filter((secret) => !known.toLowerCase().includes(secret.toLowerCase()));
}

test('the mix had everything in it', () => {
  const codes = exchanges.map(({ reply }) => /"code":"(\w+)"/.exec(reply.text)?.[1]);
  expect([...new Set(codes)].sort()).toEqual(
    expect.arrayContaining([
      'BAD_USER_INPUT',
      'FORBIDDEN',
      'GRAPHQL_PARSE_FAILED',
      'GRAPHQL_VALIDATION_FAILED',
      'INTERNAL_SERVER_ERROR',
      'NOT_FOUND',
      'PAYLOAD_TOO_LARGE',
      'QUERY_TOO_EXPENSIVE',
      'SERVICE_UNAVAILABLE',
      'TIMEOUT',
      'TOKEN_EXPIRED',
      'UNAUTHORIZED',
      'UNSUPPORTED_MEDIA_TYPE',
      undefined,
    ]),
  );
  expect(new Set(commands.map(({ code }) => code))).toEqual(new Set([0, 1]));
  expect(new Set(tokens).size).toBeGreaterThan(8);
  // The search itself finds what there is.
  expect(secretsIn(`a ${tokens[1]} b`)).toHaveLength(1);
  expect(secretsIn(digests()[5] ?? '')).not.toEqual([]);
  expect(secretsIn(MEMBER_EMAIL)).not.toEqual([]);
});

describe('there is no token, digest or address', () => {
  test('in any line of the log: JSON, every one', () => {
    for (const { output } of gateways) {
      const lines = output.stderr.split('\n').filter((line) => line !== '');
      expect(lines.length).toBeGreaterThan(50);
      for (const line of lines) expect(secretsIn(line), line).toEqual([]);
      for (const line of lines) expect(() => JSON.parse(line), line).not.toThrow();
      expect(lines.some((line) => line.includes('"msg":"a bug"'))).toBe(true);
    }
  });

  test('in any refusal, but for what its caller had said', () => {
    for (const { sent, reply } of exchanges) {
      expect(secretsIn(JSON.stringify(reply.headers), sent)).toEqual([]);
      const { errors } = JSON.parse(reply.text || '{}');
      if (errors !== undefined) expect(secretsIn(JSON.stringify(errors), sent), reply.text).toEqual([]);
    }
  });

  test('in any answer to a bug, whatever its caller had said', () => {
    const bugs = exchanges.filter(({ reply }) => reply.text.includes('INTERNAL_SERVER_ERROR'));
    expect(bugs.length).toBeGreaterThan(4);
    for (const { reply } of bugs) {
      expect(secretsIn(reply.text)).toEqual([]);
      expect(JSON.parse(reply.text).errors[0].message).toMatch(
        /^Internal server error: the operator can find it by req_\w+$/,
      );
    }
  });

  test('in the audit trail', () => {
    for (const action of ['created', 'rotated', 'leaked']) expect(audited).toContain(`key.${action}`);
    // The network's slug is part of its own event.
    expect(secretsIn(audited.replaceAll(`"slug":"${MARK}"`, ''))).toEqual([]);
  });

  test('in what is shown of the trail, of usage and of refusals, be it in a user agent or a forwarded address', () => {
    expect(recorded).toContain('"userAgent":"curl gk_[redacted] [redacted]"');
    expect(recorded).toContain('"code":"NOT_FOUND"');
    expect(recorded).toContain('"reason":"expired"');
    expect(recorded).toContain('gatehouse_refused_tokens_total{reason="expired"}');
    expect(recorded).toContain('"lastUsedAddress":"127.0.0.0/24"');
    expect(secretsIn(recorded)).toEqual([]);
  });

  test('in PostgreSQL’s log', async () => {
    expect(secretsIn(await readFile(join(dataDir, 'postgres.log'), 'utf8'))).toEqual([]);
  });
});

describe('beside its answer a command says no token and no digest', () => {
  const said = (isBug: boolean) => commands.filter(({ stderr }) => stderr.includes('\n    at ') === isBug);

  test('of what goes well and what is refused', () => {
    expect(said(false).length).toBeGreaterThan(5);
    for (const { args, stderr } of said(false)) expect(tokensIn(stderr), args.join(' ')).toEqual([]);
  });

  test('of a bug', () => {
    expect(said(true).length).toBeGreaterThan(1);
    for (const { args, stderr } of said(true)) expect(secretsIn(stderr), args.join(' ')).toEqual([]);
  });
});

describe('a token is', () => {
  test('in the answer to the command that made it, and in that of no other', () => {
    for (const { args, stdout } of commands) {
      const shown = tokens.map(pieceOf).filter((piece) => stdout.includes(piece));
      expect(shown, args.join(' ')).toHaveLength(args.includes('--json') ? 1 : 0);
    }
  });

  test('on the standard output of the first start, once, and on that of no other', () => {
    const printed = gateways.map(({ output }) => output.stdout.split(/gk_(?:live|test)_/).length - 1);
    expect(printed).toEqual([1, 0]);
    for (const { output } of gateways) expect(secretsIn(output.stdout, tokens[0])).toEqual([]);
  });

  test('in no column of any table, as text or as bytes', () => {
    expect(rows).toContain(MEMBER_EMAIL);
    expect(rows).toContain(digestOf(tokens[0] ?? '').toString('hex'));
    for (const piece of tokens.map(pieceOf)) {
      expect(rows).not.toContain(piece);
      expect(rows).not.toContain(Buffer.from(piece).toString('hex'));
    }
  });

  test('nowhere by its digest, but in the one table that is for them', () => {
    const shown = digests().filter((digest) => rowsBesideSecrets.toLowerCase().includes(digest.toLowerCase()));
    expect(shown).toEqual([]);
    expect(rowsBesideSecrets).toContain('MINUTE');
  });

  test('in no file of the database', async () => {
    const files = await readdir(dataDir, { recursive: true, withFileTypes: true });
    for (const file of files.filter((entry) => entry.isFile())) {
      const content = await readFile(join(file.parentPath, file.name));
      for (const piece of tokens.map(pieceOf)) expect(content.includes(piece), file.name).toBe(false);
    }
  });
});

/** A network that the path or the host names: it must be the token's, and only a valid token learns whether it exists. */
import { describe, expect, test } from 'vitest';
import { newUuid, toId } from '../../src/domain/id.ts';
import { replyOfText } from '../support/client.ts';
import { makeNetwork, type TestNetwork } from '../support/fixtures.ts';
import { post, type RawRequest, send } from '../support/raw-http.ts';
import { useGateway } from '../support/suite.ts';

const BASE_DOMAIN = 'api.gatehouse.test';
const suite = useGateway({ BASE_DOMAIN });

interface Address {
  /** What the path names, as it is written there. */
  readonly path?: string;
  readonly host?: string;
}

async function ask(token: string | null, { path, host }: Address) {
  const request: RawRequest = {
    ...post(token, '{ me { networkId } }', host === undefined ? {} : { host }),
    ...(path === undefined ? {} : { path: `/networks/${path}/graphql` }),
  };
  const { status, headers, text } = await send(suite.url, request);
  const { body, cost } = replyOfText(status, new Headers(headers as Record<string, string>), text);
  return { status, challenge: headers['www-authenticate'], answer: body, points: cost?.actual ?? null };
}

type Named = (network: { slug: string; id: string }) => Address;
const named = ({ network: { id, slug } }: TestNetwork) => ({ slug, id: toId('Network', id) });

describe('the token’s own network', () => {
  test.for<[string, Named]>([
    ['its id in the path', ({ id }) => ({ path: id })],
    ['its slug in the path', ({ slug }) => ({ path: slug })],
    [
      'its slug in the path, in percent-encoding',
      ({ slug }) => ({ path: `%${slug.charCodeAt(0).toString(16)}${slug.slice(1)}` }),
    ],
    ['its slug in the host', ({ slug }) => ({ host: `${slug}.${BASE_DOMAIN}` })],
    ['its slug in the host, with a port', ({ slug }) => ({ host: `${slug}.${BASE_DOMAIN}:8443` })],
    [
      'its slug in the host, in capitals and fully qualified',
      ({ slug }) => ({ host: `${slug}.${BASE_DOMAIN}.`.toUpperCase() }),
    ],
    ['both', ({ id, slug }) => ({ path: id, host: `${slug}.${BASE_DOMAIN}` })],
    ['neither: the bare base domain', () => ({ host: BASE_DOMAIN })],
    ['neither: another host', ({ slug }) => ({ host: `${slug}.elsewhere.test` })],
    ['neither: a host that only ends like the base domain', () => ({ host: `x${BASE_DOMAIN}` })],
    ['neither: an address', () => ({ host: '127.0.0.1' })],
  ])('by %s', async ([, address]) => {
    const own = await makeNetwork(suite.database);
    const reply = await ask(own.token, address(named(own)));
    expect(reply.answer).toEqual({ data: { me: { networkId: named(own).id } } });
    expect([reply.status, reply.points]).toEqual([200, 1]);
  });
});

describe('another network: 403', () => {
  test.for<[string, Named]>([
    ['its id in the path', ({ id }) => ({ path: id })],
    ['its slug in the path', ({ slug }) => ({ path: slug })],
    ['its slug in the host', ({ slug }) => ({ host: `${slug}.${BASE_DOMAIN}` })],
  ])('by %s', async ([, address]) => {
    const [own, other] = [await makeNetwork(suite.database), await makeNetwork(suite.database)];
    expect(await ask(own.token, address(named(other)))).toMatchObject({
      status: 403,
      challenge: 'Bearer error="insufficient_scope"',
      points: 0,
      answer: {
        errors: [{ message: 'Forbidden: this token belongs to another network', extensions: { code: 'FORBIDDEN' } }],
      },
    });
  });

  test.for([
    ['the path its own and the host another', true],
    ['the host its own and the path another', false],
  ] as const)('by %s', async ([, ownPath]) => {
    const [own, other] = [named(await makeNetwork(suite.database)), await makeNetwork(suite.database)];
    const [path, host] = ownPath ? [named(other).slug, own.slug] : [own.slug, named(other).slug];
    expect((await ask(other.token, { path, host: `${host}.${BASE_DOMAIN}` })).status).toBe(403);
  });
});

describe('no network: 404', () => {
  test.for<[string, Address]>([
    ['a slug in the path', { path: 'there-is-none' }],
    ['an id in the path', { path: toId('Network', newUuid()) }],
    ['the id of another type', { path: toId('Member', newUuid()) }],
    ['a slug in the host', { host: `there-is-none.${BASE_DOMAIN}` }],
    ['two labels in the host', { host: `a.b.${BASE_DOMAIN}` }],
    ['an empty label in the host', { host: `.${BASE_DOMAIN}` }],
    ['what is no slug', { path: 'a%2Fb' }],
    ['a slug that is too long', { path: 'a'.repeat(64) }],
    ['a NUL', { path: 'a%00' }],
    ['a quote', { path: "a'--" }],
    ['percent-encoding that is none', { path: '%zz' }],
    ['percent-encoding that is no UTF-8', { path: '%ff' }],
  ])('%s', async ([, address]) => {
    const { token } = await makeNetwork(suite.database);
    const { status, answer, points } = await ask(token, address);
    expect([status, points]).toEqual([404, 0]);
    expect(answer.errors).toEqual([
      {
        message: 'Not Found: there is no such network',
        extensions: expect.objectContaining({ code: 'NOT_FOUND', status: 404 }),
      },
    ]);
  });
});

test('who has no valid token learns of no network: 401 first, whatever is named', async () => {
  const own = await makeNetwork(suite.database);
  const { slug } = named(own);
  for (const token of [null, 'nonsense', `${own.token.slice(0, -1)}?`]) {
    const answers: string[] = [];
    for (const address of [
      { path: slug },
      { path: 'none' },
      { host: `${slug}.${BASE_DOMAIN}` },
      { host: `none.${BASE_DOMAIN}` },
    ]) {
      const { status, answer, points } = await ask(token, address);
      expect([status, points]).toEqual([401, null]);
      answers.push(answer.errors?.[0]?.message ?? '');
    }
    expect(new Set(answers).size).toBe(1);
  }
});

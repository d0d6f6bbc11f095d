/** What a gateway takes at the most, as docs/operating.md says: it is filled by keys of several networks that read nothing. */
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { expect, inject, onTestFinished, test } from 'vitest';
import { graphql } from '../support/client.ts';
import { makeKey, makeMembers, makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { type GatewayProgram, metricsOf, startGatewayProgram } from '../support/program.ts';

const MIB = 1_048_576;
const NETWORKS = 8;
const KEYS = 4;
const POLL = { timeout: 60_000, interval: 50 };
/** docs/operating.md, "Memory". Measured: 620 MB. */
const GREATEST_MIB = 1_024;
const RISE_MAX_MIB = 250;
const page = (name: string) => `${name}: members(first: 250) { nodes { customFields } }`;
/** Some 12 MiB. */
const LARGE = `{ ${['a', 'b', 'c'].map(page).join(' ')} }`;
/** Too large: 40 MiB. */
const TOO_LARGE = `{ ${Array.from({ length: 10 }, (_, at) => page(`a${at}`)).join(' ')} }`;

test.runIf(process.platform === 'linux')(
  'answers that nobody reads take no more memory than is documented',
  async () => {
    const database = await openTestDatabase();
    const tokens: string[][] = [];
    for (let at = 0; at < NETWORKS; at += 1) {
      const { network, admin } = await makeNetwork(database);
      await makeMembers(database, network.id, 250, () => ({ customFields: { text: 'x'.repeat(16_000) } }));
      const keys = await Promise.all(
        Array.from({ length: KEYS }, () => makeKey(database, network.id, { adminId: admin.id })),
      );
      tokens.push(keys.map(({ token }) => token));
    }
    await database.close();
    const gateway = startGatewayProgram({
      DATABASE_URL: inject('databaseUrl'),
      GATEHOUSE_SECRETS: TEST_SECRET,
      METRICS_PORT: '0',
    });
    const url = await gateway.url;
    const first = tokens[0]?.[0] ?? '';
    expect((await graphql(url, first, '{ me { role } }')).status).toBe(200);
    const atFirst = await residentBytes(gateway);

    // Ten of 40 MiB, as one key asks for them: each is stopped.
    await answered(sendUnread(url, Array(10).fill(first), TOO_LARGE));
    const tooLarge = await residentBytes(gateway);
    // Ten that are let in, of one key.
    await answered(sendUnread(url, Array(10).fill(first), LARGE));
    const tenOfOne = await residentBytes(gateway);
    expect(Math.max(tooLarge, tenOfOne) - atFirst).toBeLessThan(RISE_MAX_MIB * MIB);

    // Three hundred, by all keys.
    const all = tokens.flat();
    const many = sendUnread(
      url,
      Array.from({ length: 300 }, (_, at) => all[at % all.length] ?? ''),
      LARGE,
    );
    await answered(many);
    const held = Number(/^gatehouse_held_bytes (\d+)/m.exec(await metricsOf(gateway))?.[1]);
    expect(held).toBeGreaterThan(64 * MIB);
    expect(held).toBeLessThanOrEqual(128 * MIB);
    expect(await peakBytes(gateway)).toBeLessThan(GREATEST_MIB * MIB);
    // And it serves, or says why not.
    expect((await graphql(url, first, '{ me { role } }')).status).toBeLessThan(500);
  },
  300_000,
);

function sendUnread(url: string, tokens: readonly string[], query: string): Socket[] {
  const { hostname, port } = new URL(url);
  const body = JSON.stringify({ query });
  return tokens.map((token) => {
    const socket = connect(Number(port), hostname);
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => undefined); // a reset is a close here
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    return socket;
  });
}

/** Until the beginning of each answer is there, or its connection is closed. */
async function answered(sockets: readonly Socket[]): Promise<void> {
  const waiting = () => sockets.filter(({ readableLength, closed }) => readableLength === 0 && !closed).length;
  await expect.poll(waiting, POLL).toBe(0);
}

function residentBytes(gateway: GatewayProgram): Promise<number> {
  return statusBytes(gateway, 'VmRSS');
}

/** The most that it ever had. */
function peakBytes(gateway: GatewayProgram): Promise<number> {
  return statusBytes(gateway, 'VmHWM');
}

async function statusBytes({ pid }: GatewayProgram, name: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1_024;
}

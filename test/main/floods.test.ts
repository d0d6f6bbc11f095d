/**
 * Floods of malformed requests, of connections that are opened and left, and of requests that are refused: what a gateway
 * holds in memory after them is bounded, and a caller that behaves is answered meanwhile.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, inject, onTestFinished, test } from 'vitest';
import { graphql } from '../support/client.ts';
import { makeNetwork, openTestDatabase } from '../support/fixtures.ts';
import { TEST_SECRET } from '../support/gateway.ts';
import { type GatewayProgram, ROOT, startGatewayProgram } from '../support/program.ts';

/** What docs/operating.md promises. */
const RISE_MAX_BYTES = 200_000_000;
const PAGE_BYTES = 4_096;
const PARALLEL = 50;
/** What is sent on one connection at once: as much as one read of the gateway takes. */
const CHUNK_BYTES = 65_536;

async function residentBytes({ pid }: GatewayProgram): Promise<number> {
  const [, pages] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
  return Number(pages) * PAGE_BYTES;
}

/** The options that `npm start` gives to Node. */
async function startOptions(): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  return [...scripts.start.matchAll(/ (--[a-z-]+=\S+)/g)].map(([, option]) => option);
}

/** Of another network of addresses than the caller that behaves: who floods gives up connections of his own block. */
const FLOODING_ADDRESS = '127.9.9.9';

function open(url: string, bytes: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), localAddress: FLOODING_ADDRESS });
  // A connection that the gateway drops is what is wanted.
  socket.on('error', () => undefined);
  socket.resume().write(bytes, 'latin1');
  return socket;
}

/** Connections of their own, so many at once; each until the gateway has closed it. */
async function flood(url: string, count: number, bytes: string, parallel = PARALLEL): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < count) {
      next += 1;
      const socket = open(url, bytes);
      await new Promise((resolve) => socket.once('close', resolve));
    }
  };
  await Promise.all(Array.from({ length: parallel }, one));
}

/** Connections that are opened and left. */
async function leave(url: string, count: number, bytes: string): Promise<Socket[]> {
  const left: Socket[] = [];
  onTestFinished(() => {
    for (const socket of left) socket.destroy();
  });
  for (let opened = 0; opened < count; opened += PARALLEL) {
    const some = Array.from({ length: PARALLEL }, () => open(url, bytes));
    left.push(...some);
    await Promise.all(some.map((socket) => once(socket, 'connect')));
  }
  return left;
}

const head = (fields: string, line = 'POST /graphql HTTP/1.1') => `${line}\r\nHost: x\r\n${fields}\r\n`;
const json = (token: string) =>
  `Authorization: Bearer ${token}\r\nContent-Type: application/json\r\nConnection: close\r\n`;

/** 60,000 and more, most of them many to a connection. */
function floods(url: string, token: string): (() => Promise<unknown>)[] {
  const small = head('', 'GET /nothing HTTP/1.1');
  return [
    () => flood(url, 2_000, 'garbage\r\n\r\n'),
    () => flood(url, 300, 'a'.repeat(CHUNK_BYTES)),
    () => flood(url, 1_000, 'GET / HTTP/1.1\r\n\r\n'),
    () => flood(url, 500, head(`A: ${'a'.repeat(20_000)}\r\n`)),
    () => flood(url, 500, head(`Connection: close\r\nA: ${'a'.repeat(15_000)}\r\n`, 'GET /nothing HTTP/1.1')),
    () => flood(url, 500, `${head('Transfer-Encoding: chunked\r\n')}zz\r\n`),
    () => flood(url, 1_000, `${head(`${json('nonsense')}Content-Length: 2\r\n`)}{}`),
    () => flood(url, 1_000, `${head(`${json(token)}Content-Length: 1\r\n`)}{`),
    () => flood(url, 25, small.repeat(Math.floor(CHUNK_BYTES / small.length)), 5),
    () => leave(url, 3_000, head(`A: ${'a'.repeat(15_000)}`).slice(0, -2)),
    () => leave(url, 3_000, head('Content-Length: 100000\r\n')),
    () => leave(url, 1_000, 'garbage\r\n\r\n'),
  ];
}

test('memory rises by less than 200 MB, and a caller that behaves is answered meanwhile', async () => {
  const database = await openTestDatabase();
  const { token } = await makeNetwork(database);
  await database.close();
  const settings = { DATABASE_URL: inject('databaseUrl'), GATEHOUSE_SECRETS: TEST_SECRET };
  const gateway = startGatewayProgram(settings, await startOptions());
  const url = await gateway.url;
  const ask = async () => expect((await graphql(url, token, '{ me { id } }')).status).toBe(200);
  // Compiled, and all that it keeps is there.
  for (let asked = 0; asked < 500; asked += 1) await ask();
  const before = await residentBytes(gateway);
  let answered = 0;
  for (const run of floods(url, token)) {
    let isOver = false;
    const over = run().finally(() => {
      isOver = true;
    });
    do {
      await ask();
      answered += 1;
    } while (!isOver);
    await over;
  }
  // What they leave, once what is garbage of it has been collected: a gateway that goes on working sees to that.
  const rise = async () => {
    for (let asked = 0; asked < 50; asked += 1) await ask();
    return (await residentBytes(gateway)) - before;
  };
  await expect.poll(rise, { timeout: 60_000, interval: 500 }).toBeLessThan(RISE_MAX_BYTES);
  expect(answered).toBeGreaterThanOrEqual(12);
  expect(gateway.output.stderr).not.toMatch(/"level":"(error|fatal)"/);
}, 300_000);

// A body that does not come to its end: whoever reads it is told, whenever the client went.
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { GatehouseError } from '../../src/domain/errors.ts';
import { readBody } from '../../src/http/body.ts';

const LIMIT_BYTES = 1_000;
const askForBody = () => undefined;

/** What `read` gives of a request whose client sends these bytes and goes; an error as a value. */
async function readOf(sent: string, read: (request: IncomingMessage) => Promise<string>): Promise<unknown> {
  const outcome = Promise.withResolvers<unknown>();
  const server = createServer((request) => void read(request).then(outcome.resolve, outcome.resolve));
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(sent);
  await once(server, 'request');
  socket.destroy();
  return outcome.promise;
}

const head = (bytes: number) => `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes}\r\n\r\n`;
const GONE = new GatehouseError('REQUEST_TIMEOUT', 'The client has gone');

test('gone in the middle of it', async () => {
  expect(await readOf(`${head(10)}12345`, (request) => readBody({ request, askForBody }, LIMIT_BYTES))).toEqual(GONE);
});

test.each(['', '12345', '1234567890'])('gone before anybody reads it, having sent %o of ten bytes', async (sent) => {
  const late = async (request: IncomingMessage) => {
    await once(request, 'close').catch(() => undefined);
    return readBody({ request, askForBody }, LIMIT_BYTES);
  };
  expect(await readOf(head(10) + sent, late)).toEqual(GONE);
});

test('whole, it is read, though the client goes then', async () => {
  expect(await readOf(`${head(10)}1234567890`, (request) => readBody({ request, askForBody }, LIMIT_BYTES))).toBe(
    '1234567890',
  );
});

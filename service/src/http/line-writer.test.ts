import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '@sluice/core';
import { afterEach, expect, it } from 'vitest';
import { LineWriter } from './line-writer.ts';

const KIB = 1024;
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** What `serve` does to a real response, and the bytes that a client got of it. */
async function served(serve: (response: ServerResponse) => Promise<void>): Promise<Buffer> {
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const server = createServer((_request, response) => void serve(response).catch(fail));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const body = fetch(`http://127.0.0.1:${port}`).then(async (response) => Buffer.from(await response.arrayBuffer()));
  return Promise.race([body, failed]);
}

it('sends small parts until a reader is known to be quick, and when it no longer is', async () => {
  let now = 0;
  let step = 1;
  const clock = { ...systemClock, monotonic: () => (now += step) };
  const parts: number[] = [];
  const line = Buffer.alloc(600 * KIB, 'x');
  let released = 0;
  const encoded = { bytes: line, release: () => released++ };
  const body = await served(async (response) => {
    const write = response.write.bind(response);
    response.write = ((part: Uint8Array, gone: () => void) => {
      parts.push(part.length / KIB);
      return write(part, gone);
    }) as typeof response.write;
    const writer = new LineWriter(response, { gzip: false, clock, signal: new AbortController().signal });
    await writer.write(encoded);
    step = 2_000;
    await writer.write(encoded);
    await writer.end();
  });
  expect(parts).toEqual([64, 256, 256, 24, 256, ...Array.from({ length: 5 }, () => 64), 24]);
  expect(body.length).toBe(2 * line.length);
  expect(released).toBe(2);
});

it.each([false, true])('releases a line only when nothing of it is read any more (gzip: %s)', async (gzip) => {
  const lines = ['a', 'b', 'c', 'd'].map((letter) => Buffer.alloc(500 * KIB, letter));
  const wanted = Buffer.concat(lines);
  const body = await served(async (response) => {
    if (gzip) response.setHeader('content-encoding', 'gzip');
    const writer = new LineWriter(response, { gzip, clock: systemClock, signal: new AbortController().signal });
    for (const bytes of lines) await writer.write({ bytes, release: () => bytes.fill('?') });
    await writer.end();
  });
  expect(body.equals(wanted)).toBe(true);
  expect(lines.map((line) => line.toString('latin1', 0, 1))).toEqual(['?', '?', '?', '?']);
});

/**
 * A client that does next to nothing, so that what is measured is the server: it finds the borders of the lines and
 * stops at the first `checkpoint_complete`. What the lines say is checked elsewhere.
 */
import { connect } from 'node:net';
import { createGunzip } from 'node:zlib';

export type WireFormat = 'bson' | 'ndjson';

export interface RawDownload {
  /** Bytes on the wire. */
  readonly bytes: number;
  /** Bytes after decompression. */
  readonly textBytes: number;
  readonly lines: number;
  readonly seconds: number;
  readonly secondsToFirstByte: number;
}

interface RawDownloadOptions {
  readonly url: string;
  readonly token: string;
  readonly format: WireFormat;
  readonly gzip: boolean;
}

const ACCEPT: Readonly<Record<WireFormat, string>> = {
  bson: 'application/vnd.powersync.bson-stream',
  ndjson: 'application/x-ndjson',
};

/** What the socket may bring at once, always into the same memory. */
const READ_BYTES = 512 * 1024;

/** One first sync, from the request to the end of the first complete checkpoint. */
export function downloadAll({ url, token, format, gzip }: RawDownloadOptions): Promise<RawDownload> {
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const heads = format === 'bson' ? new BsonHeads() : new JsonHeads();
    const gunzip = gzip ? createGunzip() : null;
    const response = new ChunkedResponse();
    let secondsToFirstByte = 0;
    let bytes = 0;
    let textBytes = 0;
    const look = (text: Buffer) => {
      textBytes += text.length;
      if (!heads.push(text)) return;
      resolve({ bytes, textBytes, lines: heads.lines, seconds: seconds(), secondsToFirstByte });
      socket.destroy();
    };
    gunzip?.on('data', look).on('error', reject);
    const read = (length: number, buffer: Uint8Array) => {
      if (bytes === 0) secondsToFirstByte = seconds();
      for (const part of response.bodyIn(Buffer.from(buffer.buffer, buffer.byteOffset, length))) {
        bytes += part.length;
        if (gunzip === null) look(part);
        else gunzip.write(Buffer.from(part));
      }
      return true;
    };
    const socket = connect({
      host: hostname,
      port: Number(port),
      onread: { buffer: Buffer.alloc(READ_BYTES), callback: read },
    });
    socket.on('error', reject);
    socket.on('end', () => reject(new Error(`the stream ended (${response.status}, ${bytes} bytes)`)));
    socket.write(requestText({ url, token, format, gzip }));
  });
}

function requestText({ url, token, format, gzip }: RawDownloadOptions): string {
  const body = JSON.stringify({ buckets: [], include_checksum: true, raw_data: true, client_id: 'bench' });
  return [
    'POST /sync/stream HTTP/1.1',
    `host: ${new URL(url).host}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `authorization: Token ${token}`,
    `accept: ${ACCEPT[format]}`,
    `accept-encoding: ${gzip ? 'gzip' : 'identity'}`,
    '',
    body,
  ].join('\r\n');
}

/** An HTTP response that comes in chunks, as far as this client needs it: what is its body, and what is not. */
class ChunkedResponse {
  status = 'no response';
  #inHead = true;
  /** Of a line that has not ended yet: of the head, or the length of a chunk. */
  #line = '';
  /** Bytes of the chunk that are still to come. */
  #left = 0;

  *bodyIn(bytes: Buffer): Generator<Buffer> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const part = bytes.subarray(at, at + this.#left);
        at += part.length;
        this.#left -= part.length;
        yield part;
        continue;
      }
      const end = bytes.indexOf('\n', at);
      this.#line += bytes.toString('latin1', at, end < 0 ? bytes.length : end);
      if (end < 0) return;
      this.#take(this.#line.trim());
      this.#line = '';
      at = end + 1;
    }
  }

  #take(line: string): void {
    if (this.status === 'no response') this.status = line;
    else if (!this.#inHead && line !== '') this.#left = Number.parseInt(line, 16);
    else if (line === '') this.#inHead = false;
  }
}

const COMPLETE = 'checkpoint_complete';

/** Finds the head of each line (`{"kind":…`); `push` says whether a complete has been seen. */
class JsonHeads {
  lines = 0;
  #head = '';

  push(chunk: Buffer): boolean {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(10, start);
      const wanted = COMPLETE.length + 3 - this.#head.length;
      if (wanted > 0)
        this.#head += chunk.toString('latin1', start, Math.min(start + wanted, end < 0 ? chunk.length : end));
      if (end < 0) return false;
      this.lines++;
      const head = this.#head;
      this.#head = '';
      if (head.includes(COMPLETE)) return true;
      start = end + 1;
    }
  }
}

/** Finds the head of each document: its length, and the name of its first element. */
class BsonHeads {
  lines = 0;
  #head = Buffer.alloc(0);
  #skip = 0;

  push(chunk: Buffer): boolean {
    const headBytes = 5 + COMPLETE.length;
    let at = 0;
    while (at < chunk.length) {
      const skipped = Math.min(this.#skip, chunk.length - at);
      this.#skip -= skipped;
      at += skipped;
      if (at === chunk.length) return false;
      const part = chunk.subarray(at, at + headBytes - this.#head.length);
      this.#head = Buffer.concat([this.#head, part]);
      at += part.length;
      if (this.#head.length < headBytes) return false;
      this.lines++;
      if (this.#head.toString('latin1', 5) === COMPLETE) return true;
      this.#skip = this.#head.readInt32LE(0) - headBytes;
      this.#head = Buffer.alloc(0);
    }
    return false;
  }
}

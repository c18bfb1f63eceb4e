/**
 * A client that does next to nothing, so that what is measured is the server: it finds the borders of the lines and
 * stops at the first `checkpoint_complete`. What the lines say is checked elsewhere.
 */
import { request } from 'node:http';
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

/** One first sync, from the request to the end of the first complete checkpoint. */
export function downloadAll({ url, token, format, gzip }: RawDownloadOptions): Promise<RawDownload> {
  const startedAt = performance.now();
  const body = JSON.stringify({ buckets: [], include_checksum: true, raw_data: true, client_id: 'bench' });
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/sync/stream`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Token ${token}`,
        accept: ACCEPT[format],
        'accept-encoding': gzip ? 'gzip' : 'identity',
      },
    });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      const secondsToFirstByte = (performance.now() - startedAt) / 1000;
      let bytes = 0;
      let textBytes = 0;
      const heads = format === 'bson' ? new BsonHeads() : new JsonHeads();
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      const text = gzip ? response.pipe(createGunzip()) : response;
      text.on('error', reject);
      text.on('data', (chunk: Buffer) => {
        textBytes += chunk.length;
        if (!heads.push(chunk)) return;
        const seconds = (performance.now() - startedAt) / 1000;
        resolve({ bytes, textBytes, lines: heads.lines, seconds, secondsToFirstByte });
        outgoing.destroy();
      });
      text.on('end', () => reject(new Error(`the stream ended (HTTP ${response.statusCode}, ${bytes} bytes)`)));
    });
    outgoing.end(body);
  });
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

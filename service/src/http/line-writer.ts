/**
 * The body of one streaming response: lines out, compressed if asked for, as fast as the client reads and no faster. A
 * client that stops reading is closed after a while; until then it holds no more than one line.
 */
import type { ServerResponse } from 'node:http';
import { constants, createGzip, type Gzip } from 'node:zlib';
import type { Clock } from '@sluice/core';
import type { EncodedLine } from '@sluice/sync';
import { ReaderWait } from './reader-wait.ts';

/** Progress is seen from part to part: a slow reader that takes one in time is left alone. */
const PART_BYTES = 64 * 1024;
/** For who takes a part in less than `QUICK_MS`: a part costs a system call and a turn, as much as a hundred ops. */
const LARGE_PART_BYTES = 256 * 1024;
const QUICK_MS = 1_000;
/** Lines that leave together: a system call costs more than the few hundred bytes of most lines. */
const HELD_BYTES_MAX = 16 * 1024;
/** Small windows: thousands of idle connections keep their state. */
const GZIP = { level: 1, windowBits: 13, memLevel: 6, chunkSize: 16 * 1024 };

export class LineWriter {
  readonly #response: ServerResponse;
  readonly #gzip: Gzip | null;
  readonly #clock: Clock;
  readonly #reader: ReaderWait;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #partBytes = PART_BYTES;

  constructor(
    response: ServerResponse,
    options: { readonly gzip: boolean; readonly clock: Clock; readonly signal: AbortSignal },
  ) {
    this.#response = response;
    this.#clock = options.clock;
    this.#reader = new ReaderWait(options.clock, options.signal);
    this.#gzip = options.gzip ? createGzip(GZIP) : null;
    if (this.#gzip === null) response.on('drain', this.#reader.done);
    this.#gzip?.pipe(response);
    // Without its compression a response cannot go on; the closed response ends the rest.
    this.#gzip?.once('error', () => response.destroy());
  }

  /** For a line that another one follows at once: a small one goes out with that. Otherwise as `write`. */
  async hold(line: EncodedLine): Promise<void> {
    const { bytes } = line;
    if (this.#heldBytes + bytes.length > HELD_BYTES_MAX) return this.write(line);
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  /**
   * Resolves when the line is on its way and the next one may come.
   * @throws ReaderStalled if the client does not read; the signal's reason if it is gone
   */
  async write(line: EncodedLine): Promise<void> {
    if (this.#held.length === 0) return this.#send(line);
    const bytes = this.#takeHeld(line.bytes);
    line.release();
    await this.#send({ bytes, release: () => {} });
  }

  #takeHeld(...more: Uint8Array[]): Uint8Array {
    const all = Buffer.concat([...this.#held, ...more]);
    this.#held = [];
    this.#heldBytes = 0;
    return all;
  }

  async #send({ bytes, release }: EncodedLine): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.#partBytes);
      at += part.length;
      const startedAt = this.#clock.monotonic();
      if (this.#gzip !== null) await this.#compress(this.#gzip, part, at === bytes.length);
      else if (!this.#response.write(part, at === bytes.length ? release : undefined)) await this.#reader.untilDone();
      this.#partBytes = this.#clock.monotonic() - startedAt < QUICK_MS ? LARGE_PART_BYTES : PART_BYTES;
    }
    if (this.#gzip !== null) release();
  }

  #compress(gzip: Gzip, part: Uint8Array, last: boolean): Promise<void> {
    const { done } = this.#reader;
    gzip.write(part, last ? undefined : done);
    if (last) gzip.flush(constants.Z_SYNC_FLUSH, done);
    return this.#reader.untilDone();
  }

  /** Gives back what compression holds, without waiting for anybody. Idempotent. */
  close(): void {
    this.#reader.close();
    this.#gzip?.destroy();
  }

  /** The orderly end of the response. */
  async end(): Promise<void> {
    if (this.#held.length > 0) await this.#send({ bytes: this.#takeHeld(), release: () => {} });
    this.#response.once('finish', this.#reader.done);
    if (this.#gzip === null) this.#response.end();
    else this.#gzip.end();
    await this.#reader.untilDone();
  }
}

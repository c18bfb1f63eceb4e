/**
 * The body of one streaming response: lines out, compressed if asked for, as fast as the client reads and no faster. A
 * client that stops reading is closed after a while; until then it holds no more than one line.
 */
import type { ServerResponse } from 'node:http';
import { constants, createGzip, type Gzip } from 'node:zlib';
import type { Clock } from '@sluice/core';
import type { EncodedLine } from '@sluice/sync';

/** Without progress for so long, a reader is given up. */
const STALLED_MS = 30_000;
/** Progress is seen from part to part: a slow reader that takes one in time is left alone. */
const PART_BYTES = 64 * 1024;
/** For who takes a part in less than `QUICK_MS`: a part costs a system call and a turn, as much as a hundred ops. */
const LARGE_PART_BYTES = 256 * 1024;
const QUICK_MS = 1_000;
/** Lines that leave together: a system call costs more than the few hundred bytes of most lines. */
const HELD_BYTES_MAX = 16 * 1024;
/** Small windows: thousands of idle connections keep their state. */
const GZIP = { level: 1, windowBits: 13, memLevel: 6, chunkSize: 16 * 1024 };

export class ReaderStalled extends Error {}

export class LineWriter {
  readonly #response: ServerResponse;
  readonly #gzip: Gzip | null;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #partBytes = PART_BYTES;

  constructor(
    response: ServerResponse,
    options: { readonly gzip: boolean; readonly clock: Clock; readonly signal: AbortSignal },
  ) {
    this.#response = response;
    this.#clock = options.clock;
    this.#signal = options.signal;
    this.#gzip = options.gzip ? createGzip(GZIP) : null;
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
      if (this.#gzip === null) await this.#sendPlain(part, at === bytes.length ? release : undefined);
      else await this.#compress(this.#gzip, part, at === bytes.length);
      this.#partBytes = this.#clock.monotonic() - startedAt < QUICK_MS ? LARGE_PART_BYTES : PART_BYTES;
    }
    if (this.#gzip !== null) release();
  }

  /** @param gone called when the part has left this process */
  async #sendPlain(part: Uint8Array, gone: (() => void) | undefined): Promise<void> {
    if (!this.#response.write(part, gone)) await this.#untilDone((done) => this.#response.once('drain', done));
  }

  async #compress(gzip: Gzip, part: Uint8Array, last: boolean): Promise<void> {
    await this.#untilDone((done) => {
      gzip.write(part, last ? undefined : done);
      if (last) gzip.flush(constants.Z_SYNC_FLUSH, done);
    });
  }

  /** Gives back what compression holds, without waiting for anybody. Idempotent. */
  close(): void {
    this.#gzip?.destroy();
  }

  /** The orderly end of the response. */
  async end(): Promise<void> {
    if (this.#held.length > 0) await this.#send({ bytes: this.#takeHeld(), release: () => {} });
    await this.#untilDone((done) => {
      this.#response.once('finish', done);
      if (this.#gzip === null) this.#response.end();
      else this.#gzip.end();
    });
  }

  #untilDone(begin: (done: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => {
        cancel();
        this.#signal.removeEventListener('abort', onAbort);
        outcome();
      };
      const onAbort = () => settle(() => reject(this.#signal.reason as Error));
      const cancel = this.#clock.timer(STALLED_MS, () => {
        settle(() => reject(new ReaderStalled(`the client did not read for ${STALLED_MS / 1000} s`)));
      });
      this.#signal.addEventListener('abort', onAbort, { once: true });
      if (this.#signal.aborted) return onAbort();
      begin(() => settle(resolve));
    });
  }
}

/**
 * The body of one streaming response: lines out, compressed if asked for, as fast as the client reads and no faster. A
 * client that stops reading is closed after a while; until then it holds no more than one line.
 */
import type { ServerResponse } from 'node:http';
import { constants, createGzip, type Gzip } from 'node:zlib';
import type { Clock } from '@sluice/core';

/** Without progress for so long, a reader is given up. */
const STALLED_MS = 30_000;
/** Progress is seen from part to part: a slow reader that takes one in time is left alone. */
const PART_BYTES = 64 * 1024;
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
  async hold(line: Uint8Array): Promise<void> {
    if (this.#heldBytes + line.length > HELD_BYTES_MAX) return this.write(line);
    this.#held.push(line);
    this.#heldBytes += line.length;
  }

  /**
   * Resolves when the line is on its way and the next one may come.
   * @throws ReaderStalled if the client does not read; the signal's reason if it is gone
   */
  async write(line: Uint8Array): Promise<void> {
    await this.#send(this.#held.length === 0 ? line : this.#takeHeld(line));
  }

  #takeHeld(...more: Uint8Array[]): Uint8Array {
    const all = Buffer.concat([...this.#held, ...more]);
    this.#held = [];
    this.#heldBytes = 0;
    return all;
  }

  async #send(line: Uint8Array): Promise<void> {
    for (let at = 0; at < line.length; at += PART_BYTES) {
      const part = line.subarray(at, at + PART_BYTES);
      if (this.#gzip === null) {
        if (!this.#response.write(part)) await this.#untilDone((done) => this.#response.once('drain', done));
      } else {
        const gzip = this.#gzip;
        const last = at + PART_BYTES >= line.length;
        await this.#untilDone((done) => {
          gzip.write(part, last ? undefined : done);
          if (last) gzip.flush(constants.Z_SYNC_FLUSH, done);
        });
      }
    }
  }

  /** Gives back what compression holds, without waiting for anybody. Idempotent. */
  close(): void {
    this.#gzip?.destroy();
  }

  /** The orderly end of the response. */
  async end(): Promise<void> {
    if (this.#held.length > 0) await this.#send(this.#takeHeld());
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

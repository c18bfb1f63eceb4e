/**
 * `COPY … TO STDOUT` on a connection of the driver, which hands over its socket meanwhile: the messages are read here,
 * without an object per row. Reading goes on when the next rows are asked for, so that a slow consumer slows the server
 * down.
 */
import type { ByteRows } from '@sluice/core';
import type { Connection, Submittable } from 'pg';
import { type CopyTextParser, MESSAGE_HEADER_BYTES as HEADER_BYTES } from './copy-text.ts';
import { MESSAGES_BYTES_MAX } from './cut-program.ts';

const COPY_DATA = 0x64;
/** What may stand between rows: the answer to COPY, and what a server may say at any time. */
const PASSED_OVER: ReadonlySet<number> = new Set(Buffer.from('HNSA'));

type DataListener = (data: Buffer) => void;

export interface CopyOutOptions {
  readonly text: string;
  /** For nothing else meanwhile. */
  readonly parser: CopyTextParser;
  /** Called whenever the server has sent something. */
  readonly onData: () => void;
}

export interface CopiedPart {
  readonly rows: ByteRows;
  /** As the server sent them. */
  readonly bytes: number;
  /** Whether there are no more. */
  readonly last: boolean;
}

export class CopyOut implements Submittable {
  readonly #text: string;
  readonly #onData: () => void;
  readonly #parser: CopyTextParser;
  /** Of rows, that were read. */
  #bytes = 0;
  #connection: Connection | null = null;
  /** The driver's own; it gets the socket back at the end. */
  #driver: DataListener | null = null;
  /** Read from the socket and not yet looked at, from `#at` on. */
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Of the message that is open. */
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #left = 0;
  #ended = false;
  #failure: { readonly error: unknown } | null = null;
  #wake: () => void = () => undefined;
  readonly #onReadable = () => this.#wake();

  constructor({ text, parser, onData }: CopyOutOptions) {
    this.#text = text;
    this.#parser = parser;
    this.#onData = onData;
  }

  /**
   * Rows of about `bytes` bytes, or all that are left; valid until the next call.
   * @throws what the driver or `fail` reports; SLU_S1155 for text that is no rows
   */
  async next(bytes: number): Promise<CopiedPart> {
    const before = this.#bytes;
    for (;;) {
      this.#read(before + bytes);
      if (this.#failure !== null) throw this.#failure.error;
      const isFull = this.#bytes >= before + bytes && this.#parser.rows > 0;
      if (this.#ended && !isFull) this.#parser.end();
      if (this.#ended || isFull) return { rows: this.#parser.take(), bytes: this.#bytes - before, last: !isFull };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Gives up: `next` throws `error`. The connection is of no use afterwards. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#failure ??= { error };
    this.#connection?.stream.off('readable', this.#onReadable);
    this.#wake();
  }

  /** Called by the driver when it is this query's turn. */
  submit(connection: Connection): void {
    const { stream } = connection;
    const [driver] = stream.listeners('data') as DataListener[];
    if (driver === undefined) return this.fail(new Error('the connection has no reader'));
    this.#connection = connection;
    this.#driver = driver;
    stream.off('data', driver);
    stream.pause();
    stream.on('readable', this.#onReadable);
    connection.query(this.#text);
  }

  handleError(error: Error): void {
    this.fail(error);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#ended = true;
    this.#wake();
  }

  /** The messages that have come, up to where `#bytes` reaches `until`, and a whole row does. */
  #read(until: number): void {
    while (this.#driver !== null && this.#failure === null) {
      if (this.#bytes >= until && this.#parser.rows > 0) return;
      if (this.#at === this.#chunk.length && !this.#readSocket()) return;
      if (this.#left > 0) this.#readContent();
      else if (!this.#readWhole(until)) this.#readHeader();
    }
  }

  #readSocket(): boolean {
    const chunk = this.#connection?.stream.read() as Buffer | null | undefined;
    if (chunk === null || chunk === undefined) return false;
    this.#chunk = chunk;
    this.#at = 0;
    this.#onData();
    return true;
  }

  /** The messages with rows that are whole, up to where `#bytes` reaches `until`. @returns false if there is none */
  #readWhole(until: number): boolean {
    if (this.#headerBytes > 0) return false;
    const [chunk, from] = [this.#chunk, this.#at];
    let end = from;
    let bytes = this.#bytes;
    while (bytes < until && chunk[end] === COPY_DATA && chunk.length - end >= HEADER_BYTES) {
      const next = end + 1 + chunk.readUInt32BE(end + 1);
      if (next > chunk.length || next - from > MESSAGES_BYTES_MAX) break;
      bytes += next - end - HEADER_BYTES;
      end = next;
    }
    if (end === from) return false;
    this.#parser.pushMessages(chunk, from, end);
    this.#bytes = bytes;
    this.#at = end;
    return true;
  }

  #readContent(): void {
    const end = Math.min(this.#chunk.length, this.#at + this.#left);
    if (this.#header[0] === COPY_DATA) {
      this.#parser.push(this.#chunk, this.#at, end);
      this.#bytes += end - this.#at;
    }
    this.#left -= end - this.#at;
    this.#at = end;
  }

  #readHeader(): void {
    const header = this.#header;
    while (this.#headerBytes < HEADER_BYTES && this.#at < this.#chunk.length) {
      header[this.#headerBytes++] = this.#chunk[this.#at++] as number;
    }
    if (this.#headerBytes < HEADER_BYTES) return;
    const code = header[0] as number;
    if (code === COPY_DATA || PASSED_OVER.has(code)) {
      this.#left = header.readUInt32BE(1) - 4;
      this.#headerBytes = 0;
    } else this.#handBack();
  }

  /** The end of the copy, or an error in its place: the driver reads it, and what follows. */
  #handBack(): void {
    const connection = this.#connection;
    const driver = this.#driver;
    if (connection === null || driver === null) return;
    this.#driver = null;
    const { stream } = connection;
    const rest = this.#chunk.subarray(this.#at);
    stream.off('readable', this.#onReadable);
    stream.on('data', driver);
    driver(Buffer.concat([this.#header, rest]));
    process.nextTick(() => stream.resume());
  }
}

/**
 * Rows in the binary format of `COPY`, and the statement that takes them, on a connection that pipelines: all of it is
 * sent at once, since a server passes over copy data that comes when its COPY has failed. Against rows that come as
 * arrays, the server inserts them a page at a time, and they are written into a message once instead of four times.
 */
import { type Connection, Query, type ResultBuilder } from 'pg';

/** A message's worth: the server inserts the first while the next are on their way. Most flushes of the stream fit in one. */
const MESSAGE_BYTES = 256 * 1024;
const MESSAGE_BYTES_FIRST = 16 * 1024;
const COPY_DATA = 0x64;
const MESSAGE_HEADER_BYTES = 5;
/** Signature, flags, and the length of no extension. */
const FILE_HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const FILE_END = Buffer.from([0xff, 0xff]);
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);

/** Columns are added in the order of the statement's list. */
export class CopyRows {
  readonly messages: Buffer[] = [];
  #message: Buffer = Buffer.allocUnsafe(0);
  #at = 0;

  constructor() {
    this.#begin(MESSAGE_BYTES_FIRST);
    this.#at += FILE_HEADER.copy(this.#message, this.#at);
  }

  /** @param bytes of the values of its columns */
  row(columns: number, bytes: number): void {
    const needed = 2 + 4 * columns + bytes;
    if (!this.#hasRoomFor(needed)) {
      this.#end();
      this.#begin(Math.max(MESSAGE_BYTES, needed));
    }
    this.#at = this.#message.writeInt16BE(columns, this.#at);
  }

  int2(value: number): void {
    this.#at = this.#message.writeInt32BE(2, this.#at);
    this.#at = this.#message.writeInt16BE(value, this.#at);
  }

  int4(value: number): void {
    this.#at = this.#message.writeInt32BE(4, this.#at);
    this.#at = this.#message.writeInt32BE(value, this.#at);
  }

  int8(value: number): void {
    this.#at = this.#message.writeInt32BE(8, this.#at);
    this.#at = this.#message.writeInt32BE(Math.floor(value / 2 ** 32), this.#at);
    this.#at = this.#message.writeUInt32BE(value >>> 0, this.#at);
  }

  bytes(value: Uint8Array): void {
    this.#at = this.#message.writeInt32BE(value.length, this.#at);
    this.#message.set(value, this.#at);
    this.#at += value.length;
  }

  /** Nothing can be added afterwards. */
  seal(): this {
    if (!this.#hasRoomFor(FILE_END.length)) {
      this.#end();
      this.#begin(FILE_END.length);
    }
    this.#at += FILE_END.copy(this.#message, this.#at);
    this.#end();
    return this;
  }

  #hasRoomFor(bytes: number): boolean {
    return this.#at + bytes <= this.#message.length;
  }

  #begin(bytes: number): void {
    this.#message = Buffer.allocUnsafe(MESSAGE_HEADER_BYTES + bytes);
    this.#at = MESSAGE_HEADER_BYTES;
  }

  #end(): void {
    this.#message[0] = COPY_DATA;
    this.#message.writeInt32BE(this.#at - 1, 1);
    this.messages.push(this.#message.subarray(0, this.#at));
  }
}

/** A query to the driver, which takes no others while it pipelines. */
export class CopyIn extends Query {
  readonly #text: string;
  readonly #rows: CopyRows;

  constructor(text: string, rows: CopyRows, answered: (error: Error | undefined, result: ResultBuilder) => void) {
    super(text, answered);
    this.#text = text;
    this.#rows = rows;
  }

  override submit = (connection: Connection): void => {
    const { stream } = connection;
    // The driver tells all its queries of the loss.
    if (!stream.writable) return;
    stream.cork();
    connection.query(this.#text);
    for (const message of this.#rows.messages) stream.write(message);
    stream.write(COPY_DONE);
    stream.uncork();
  };

  /** Everything is on its way. */
  handleCopyInResponse(): void {}
}

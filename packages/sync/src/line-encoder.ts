/**
 * Lines become bytes. Data lines are written into buffers that are used again: half a megabyte of new memory for each
 * line costs page faults, and collections of the whole heap.
 */
import { BSON_CONTENT_TYPE, encodeBsonControl, putBsonData } from './bson.ts';
import { LineBuffer } from './line-buffer.ts';
import { encodeNdjsonControl, NDJSON_CONTENT_TYPE, putNdjsonData } from './ndjson.ts';
import type { ControlLine, DataChunk, Line } from './protocol.ts';

export interface LineFormat {
  readonly contentType: string;
  readonly control: (line: ControlLine) => Uint8Array;
  readonly putData: (chunk: DataChunk, line: LineBuffer) => void;
}

export const bsonFormat: LineFormat = {
  contentType: BSON_CONTENT_TYPE,
  control: encodeBsonControl,
  putData: putBsonData,
};

/** @param rawData whether `data` stays JSON text; if not, it is embedded, byte for byte, as old clients expect it */
export function ndjsonFormat(rawData: boolean): LineFormat {
  return {
    contentType: NDJSON_CONTENT_TYPE,
    control: encodeNdjsonControl,
    putData: (chunk, line) => putNdjsonData(chunk, line, rawData),
  };
}

export interface EncodedLine {
  readonly bytes: Uint8Array;
  /** Says that nobody reads the bytes any more. If that is never said, they are collected some time. */
  readonly release: () => void;
}

const KEPT_MAX = 4;
const KEPT_BYTES_MAX = 8 << 20;

/** Shared by all connections of a process. */
export class LineEncoder {
  readonly #free: LineBuffer[] = [];

  encode(line: Line, format: LineFormat): EncodedLine {
    if (!('data' in line)) return { bytes: format.control(line), release: () => {} };
    const buffer = this.#free.pop() ?? new LineBuffer();
    buffer.end = 0;
    format.putData(line.data, buffer);
    const bytes = buffer.space.bytes.subarray(0, buffer.end);
    let held = true;
    const release = () => {
      if (held) this.#keep(buffer);
      held = false;
    };
    // Who reads slowly holds a line for long, and must not hold more than twice its size.
    if (buffer.end > buffer.space.bytes.length / 2) return { bytes, release };
    const copy = Buffer.from(bytes);
    release();
    return { bytes: copy, release: () => {} };
  }

  #keep(buffer: LineBuffer): void {
    if (this.#free.length < KEPT_MAX && buffer.space.bytes.length <= KEPT_BYTES_MAX) this.#free.push(buffer);
  }
}

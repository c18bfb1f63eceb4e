/**
 * Lines as BSON documents. Data lines are the hot path: op bodies are stored as BSON elements already, so a line is
 * laid out by hand in one buffer of exactly its size, and each op is a copy. Everything else is small.
 */
import { serialize } from 'bson';
import { invariant } from '@sluice/core';
import type { DataChunk, Line } from './protocol.ts';

/** Exactly this: clients compare it literally, and take anything else for text. */
export const BSON_CONTENT_TYPE = 'application/vnd.powersync.bson-stream';

export function encodeBsonLine(line: Line): Uint8Array {
  return 'data' in line ? encodeDataLine(line.data) : serialize(line);
}

const DATA_DOCUMENT = Buffer.from('\x03data\0', 'latin1');
const BUCKET = Buffer.from('\x02bucket\0', 'latin1');
const AFTER = Buffer.from('\x02after\0', 'latin1');
const HAS_MORE = Buffer.from('\x08has_more\0', 'latin1');
const DATA_ARRAY = Buffer.from('\x04data\0', 'latin1');
const NEXT_AFTER = Buffer.from('\x02next_after\0', 'latin1');
const OP_ID = Buffer.from('\x02op_id\0', 'latin1');

/** Length prefix and terminator of a string, or of a document. */
const FRAME = 5;
/** Type byte and terminator around an element's name. */
const NAME_FRAME = 2;

function encodeDataLine(chunk: DataChunk): Buffer {
  const count = chunk.opIds.length;
  const bucketBytes = Buffer.byteLength(chunk.bucket);
  const array = arrayBytes(chunk);
  const inner =
    FRAME +
    (BUCKET.length + FRAME + bucketBytes) +
    (AFTER.length + FRAME + digits(chunk.after)) +
    (HAS_MORE.length + 1) +
    (DATA_ARRAY.length + array) +
    (NEXT_AFTER.length + FRAME + digits(chunk.nextAfter));
  const total = FRAME + DATA_DOCUMENT.length + inner;

  const line = Buffer.allocUnsafe(total);
  let at = line.writeInt32LE(total, 0);
  at += DATA_DOCUMENT.copy(line, at);
  at = line.writeInt32LE(inner, at);
  at += BUCKET.copy(line, at);
  at = line.writeInt32LE(bucketBytes + 1, at);
  at += line.write(chunk.bucket, at, 'utf8');
  line[at++] = 0;
  at += AFTER.copy(line, at);
  at = putDecimal(line, at, chunk.after);
  at += HAS_MORE.copy(line, at);
  line[at++] = chunk.hasMore ? 1 : 0;
  at += DATA_ARRAY.copy(line, at);
  at = line.writeInt32LE(array, at);
  for (let index = 0; index < count; index++) {
    at = putOp(line, at, index, chunk.opIds[index] as number, chunk.bodies[index] as Uint8Array);
  }
  line[at++] = 0;
  at += NEXT_AFTER.copy(line, at);
  at = putDecimal(line, at, chunk.nextAfter);
  line[at++] = 0;
  line[at++] = 0;
  invariant(at === total, 'bson: a data line is not as long as computed');
  return line;
}

function arrayBytes(chunk: DataChunk): number {
  let bytes = FRAME;
  for (let index = 0; index < chunk.opIds.length; index++) {
    bytes += NAME_FRAME + digits(index) + opBytes(chunk.opIds[index] as number, chunk.bodies[index] as Uint8Array);
  }
  return bytes;
}

function opBytes(opId: number, body: Uint8Array): number {
  return FRAME + OP_ID.length + FRAME + digits(opId) + body.length;
}

function putOp(line: Buffer, start: number, index: number, opId: number, body: Uint8Array): number {
  let at = start;
  line[at++] = 0x03;
  at = putDigits(line, at, index);
  line[at++] = 0;
  at = line.writeInt32LE(opBytes(opId, body), at);
  at += OP_ID.copy(line, at);
  at = putDecimal(line, at, opId);
  line.set(body, at);
  at += body.length;
  line[at++] = 0;
  return at;
}

/** A number as a BSON string of decimal digits. */
function putDecimal(line: Buffer, start: number, value: number): number {
  const at = putDigits(line, line.writeInt32LE(digits(value) + 1, start), value);
  line[at] = 0;
  return at + 1;
}

function putDigits(line: Buffer, start: number, value: number): number {
  const end = start + digits(value);
  let rest = value;
  for (let at = end - 1; at >= start; at--) {
    const next = Math.floor(rest / 10);
    line[at] = 48 + (rest - next * 10);
    rest = next;
  }
  return end;
}

function digits(value: number): number {
  let count = 1;
  for (let bound = 10; value >= bound; bound *= 10) count++;
  return count;
}

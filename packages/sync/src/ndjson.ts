/**
 * Lines as newline-delimited JSON: for readers without BSON, for `curl`, and for old clients. Op bodies are BSON elements
 * of two kinds, numbers and strings, under the names that JSON readers know them by: a data line is transcribed byte by
 * byte into one buffer, and no text is decoded on the way.
 */
import { ByteSpace, copyBytes, copyEscaped, escapedLength, invariant } from '@sluice/core';
import type { DataChunk, Line } from './protocol.ts';

export const NDJSON_CONTENT_TYPE = 'application/x-ndjson';

/** @param rawData whether `data` stays JSON text; if not, it is embedded, byte for byte, as old clients expect it */
export function encodeNdjsonLine(line: Line, rawData: boolean): Buffer {
  return 'data' in line ? encodeDataLine(line.data, rawData) : Buffer.from(`${JSON.stringify(line)}\n`);
}

const INT32 = 0x10;
const STRING = 0x02;
const CHECKSUM_AT = '\x10checksum\0'.length;
/** Type byte, "checksum", number: what every body begins with. */
const CHECKSUM_END = CHECKSUM_AT + 4;
const [QUOTE, COMMA, COLON, CLOSE, DASH, DIGIT_ZERO] = [0x22, 0x2c, 0x3a, 0x7d, 0x2d, 0x30];
const OP_ID = new ByteSpace(Buffer.from('{"op_id":"', 'latin1'));
const CHECKSUM = new ByteSpace(Buffer.from('","checksum":', 'latin1'));
const DATA = Buffer.from('data', 'latin1');
const OBJECT_ID = Buffer.from('object_id', 'latin1');

/** A byte of text becomes six at most (`\u001f`); names, quotes and numbers need little more. */
const GROWTH_MAX = 6;
/** Bodies beyond this are looked through, so that a large row does not take six times its size. */
const COUNTED_BYTES = 16 * 1024;
const OP_FRAME_MAX = 128;
const SCRATCH_BYTES = 1 << 20;

let scratch = new ByteSpace(Buffer.allocUnsafeSlow(SCRATCH_BYTES));

function encodeDataLine(chunk: DataChunk, rawData: boolean): Buffer {
  const { bucket, after, hasMore, opIds, bodies, nextAfter } = chunk;
  const head = `{"data":{"bucket":${JSON.stringify(bucket)},"after":"${after}","has_more":${hasMore},"data":[`;
  reserve(0, head.length * 3);
  let at = scratch.bytes.write(head, 0, 'utf8');
  let source: ByteSpace | null = null;
  for (let index = 0; index < opIds.length; index++) {
    const body = bodies[index] as Uint8Array;
    // Bodies of one run lie in one buffer.
    if (source?.view.buffer !== body.buffer) source = new ByteSpace(Buffer.from(body.buffer));
    const range = { from: body.byteOffset, end: body.byteOffset + body.byteLength };
    reserve(at, bytesMaxOf(source, range) + OP_FRAME_MAX);
    if (index > 0) scratch.bytes[at++] = COMMA;
    at = copyBytes(OP_ID, 0, OP_ID.bytes.length, scratch, at);
    at = putDecimal(opIds[index] as number, at);
    at = transcribe(source, range, at, rawData);
    scratch.bytes[at++] = CLOSE;
  }
  const tail = `],"next_after":"${nextAfter}"}}\n`;
  reserve(at, tail.length);
  at += scratch.bytes.write(tail, at, 'latin1');
  const line = Buffer.from(scratch.bytes.subarray(0, at));
  // A rare huge row must not keep its buffer for ever.
  if (scratch.bytes.length > 16 * SCRATCH_BYTES) scratch = new ByteSpace(Buffer.allocUnsafeSlow(SCRATCH_BYTES));
  return line;
}

/** Of a body in the buffer that it shares with others. */
interface Range {
  readonly from: number;
  readonly end: number;
}

function bytesMaxOf(source: ByteSpace, { from, end }: Range): number {
  return end - from < COUNTED_BYTES ? (end - from) * GROWTH_MAX : escapedLength(source, from, end);
}

function reserve(at: number, bytes: number): void {
  if (at + bytes <= scratch.bytes.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * scratch.bytes.length, at + bytes));
  scratch.bytes.copy(larger, 0, 0, at);
  scratch = new ByteSpace(larger);
}

function putDecimal(value: number, start: number): number {
  const { bytes } = scratch;
  let at = start;
  let rest = value;
  if (value < 0) {
    bytes[at++] = DASH;
    rest = -value;
  }
  let digits = 1;
  for (let bound = 10; rest >= bound; bound *= 10) digits++;
  for (let place = at + digits - 1; place >= at; place--) {
    const next = Math.floor(rest / 10);
    bytes[place] = DIGIT_ZERO + (rest - next * 10);
    rest = next;
  }
  return at + digits;
}

/** The elements of an op body as members of an object, behind the op id that is still open. */
function transcribe(source: ByteSpace, { from: start, end }: Range, to: number, rawData: boolean): number {
  const { bytes, view } = source;
  invariant(bytes[start] === INT32, 'ndjson: an op body begins with its checksum');
  let at = copyBytes(CHECKSUM, 0, CHECKSUM.bytes.length, scratch, to);
  at = putDecimal(view.getInt32(start + CHECKSUM_AT, true), at);
  let from = start + CHECKSUM_END;
  if (startsWithHead(source, from, end)) {
    at = copyBytes(head.json, 0, head.json.bytes.length, scratch, at);
    from += head.body.bytes.length;
  }
  const headFrom = from;
  const headAt = at;
  while (from < end) {
    invariant(bytes[from] === STRING, 'ndjson: an op body holds strings behind its checksum');
    const nameFrom = from + 1;
    let nameEnd = nameFrom;
    while (bytes[nameEnd] !== 0) nameEnd++;
    if (headFrom === start + CHECKSUM_END && isName(bytes, OBJECT_ID, nameFrom, nameEnd)) {
      head = { body: slice(source, headFrom, from), json: slice(scratch, headAt, at) };
    }
    at = putName(source, nameFrom, nameEnd, at);
    const textFrom = nameEnd + 5;
    const textEnd = textFrom + view.getInt32(nameEnd + 1, true) - 1;
    const embed = !rawData && isName(bytes, DATA, nameFrom, nameEnd);
    at = embed ? copyBytes(source, textFrom, textEnd, scratch, at) : quote(source, textFrom, textEnd, at);
    from = textEnd + 1;
  }
  return at;
}

/** Kind and object type, the same in nearly all bodies that follow each other: as they stand in a body, and in JSON. */
let head = { body: new ByteSpace(Buffer.alloc(0)), json: new ByteSpace(Buffer.alloc(0)) };

function startsWithHead({ bytes, view }: ByteSpace, from: number, end: number): boolean {
  const { bytes: known, view: knownView } = head.body;
  const { length } = known;
  if (length === 0 || end - from < length) return false;
  let at = 0;
  for (; at + 4 <= length; at += 4) if (view.getInt32(from + at) !== knownView.getInt32(at)) return false;
  for (; at < length; at++) if (bytes[from + at] !== known[at]) return false;
  return true;
}

function slice({ bytes }: ByteSpace, from: number, to: number): ByteSpace {
  return new ByteSpace(Buffer.from(bytes.subarray(from, to)));
}

function putName(source: ByteSpace, from: number, end: number, start: number): number {
  const { bytes } = scratch;
  bytes[start] = COMMA;
  bytes[start + 1] = QUOTE;
  const at = copyBytes(source, from, end, scratch, start + 2);
  bytes[at] = QUOTE;
  bytes[at + 1] = COLON;
  return at + 2;
}

function isName(bytes: Buffer, name: Buffer, from: number, end: number): boolean {
  if (end - from !== name.length) return false;
  for (let at = 0; at < name.length; at++) if (bytes[from + at] !== name[at]) return false;
  return true;
}

function quote(source: ByteSpace, from: number, end: number, start: number): number {
  scratch.bytes[start] = QUOTE;
  const at = copyEscaped(source, from, end, scratch, start + 1);
  scratch.bytes[at] = QUOTE;
  return at + 1;
}

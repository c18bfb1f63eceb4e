/**
 * Lines as newline-delimited JSON: for readers without BSON, for `curl`, and for old clients. Op bodies are BSON elements
 * of two kinds, numbers and strings, under the names that JSON readers know them by: a data line is transcribed byte by
 * byte into one buffer, and no text is decoded on the way.
 */
import { invariant } from '@sluice/core';
import type { DataChunk, Line } from './protocol.ts';

export const NDJSON_CONTENT_TYPE = 'application/x-ndjson';

/** @param rawData whether `data` stays JSON text; if not, it is embedded, byte for byte, as old clients expect it */
export function encodeNdjsonLine(line: Line, rawData: boolean): Buffer {
  return 'data' in line ? encodeDataLine(line.data, rawData) : Buffer.from(`${JSON.stringify(line)}\n`);
}

const INT32 = 0x10;
const STRING = 0x02;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const COMMA = 0x2c;
const COLON = 0x3a;
const HEX = Buffer.from('0123456789abcdef', 'latin1');
const DATA_NAME = Buffer.from('data', 'latin1');

/** A byte of text becomes six at most (`\u001f`); names, quotes and numbers need little more. */
const GROWTH_MAX = 6;
/** Bodies beyond this are looked through, so that a large row does not take six times its size. */
const COUNTED_BYTES = 16 * 1024;
const OP_FRAME_MAX = 128;
const SCRATCH_BYTES = 1 << 20;

let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

function encodeDataLine(chunk: DataChunk, rawData: boolean): Buffer {
  const { bucket, after, hasMore, opIds, bodies, nextAfter } = chunk;
  const head = `{"data":{"bucket":${JSON.stringify(bucket)},"after":"${after}","has_more":${hasMore},"data":[`;
  reserve(0, head.length * 3);
  let at = scratch.write(head, 0, 'utf8');
  for (let index = 0; index < opIds.length; index++) {
    const body = bodies[index] as Uint8Array;
    reserve(at, bytesMaxOf(body) + OP_FRAME_MAX);
    at += scratch.write(`${index === 0 ? '' : ','}{"op_id":"${opIds[index]}"`, at, 'latin1');
    at = transcribe(body, at, rawData);
    scratch[at++] = 0x7d;
  }
  const tail = `],"next_after":"${nextAfter}"}}\n`;
  reserve(at, tail.length);
  at += scratch.write(tail, at, 'latin1');
  const line = Buffer.from(scratch.subarray(0, at));
  // A rare huge row must not keep its buffer for ever.
  if (scratch.length > 16 * SCRATCH_BYTES) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  return line;
}

function bytesMaxOf(body: Uint8Array): number {
  if (body.length < COUNTED_BYTES) return body.length * GROWTH_MAX;
  let bytes = body.length;
  for (const byte of body) {
    if (byte === QUOTE || byte === BACKSLASH) bytes++;
    else if (byte < SPACE) bytes += GROWTH_MAX - 1;
  }
  return bytes;
}

function reserve(at: number, bytes: number): void {
  if (at + bytes <= scratch.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * scratch.length, at + bytes));
  scratch.copy(larger, 0, 0, at);
  scratch = larger;
}

/** The elements of an op body as members of an object, each with a comma before it. */
function transcribe(body: Uint8Array, start: number, rawData: boolean): number {
  const out = scratch;
  const view = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let at = start;
  let from = 0;
  while (from < view.length) {
    const type = view[from] as number;
    const nameFrom = from + 1;
    const nameEnd = view.indexOf(0, nameFrom);
    out[at++] = COMMA;
    out[at++] = QUOTE;
    for (let index = nameFrom; index < nameEnd; index++) out[at++] = view[index] as number;
    out[at++] = QUOTE;
    out[at++] = COLON;
    const number = view.readInt32LE(nameEnd + 1);
    if (type === INT32) {
      at += out.write(String(number), at, 'latin1');
      from = nameEnd + 5;
      continue;
    }
    invariant(type === STRING, 'ndjson: an op body holds numbers and strings only');
    const textFrom = nameEnd + 5;
    const textEnd = textFrom + number - 1;
    const embed =
      !rawData && nameEnd - nameFrom === DATA_NAME.length && view.compare(DATA_NAME, 0, 4, nameFrom, nameEnd) === 0;
    at = embed ? at + view.copy(out, at, textFrom, textEnd) : quote(view, { from: textFrom, end: textEnd }, at);
    from = textEnd + 1;
  }
  return at;
}

/** UTF-8 as a JSON string: only quotes, backslashes and control characters need escapes. */
function quote(text: Buffer, range: { readonly from: number; readonly end: number }, start: number): number {
  const out = scratch;
  const { end } = range;
  let at = start;
  out[at++] = QUOTE;
  for (let from = range.from; from < end; from++) {
    const byte = text[from] as number;
    if (byte === QUOTE || byte === BACKSLASH) out[at++] = BACKSLASH;
    else if (byte < SPACE) {
      at += out.write('\\u00', at, 'latin1');
      out[at++] = HEX[byte >> 4] as number;
      out[at++] = HEX[byte & 15] as number;
      continue;
    }
    out[at++] = byte;
  }
  out[at++] = QUOTE;
  return at;
}

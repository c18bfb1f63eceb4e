/**
 * Lines as newline-delimited JSON: for readers without BSON, for `curl`, and for old clients. Op bodies are BSON elements
 * of two kinds, numbers and strings, under the names that JSON readers know them by: a data line is transcribed byte by
 * byte, and no text is decoded on the way.
 */
import { ByteSpace, copyBytes, escapedLength, invariant } from '@sluice/core';
import type { OpRun } from '@sluice/storage';
import { copyEscapedJson } from './json-text.ts';
import { type LineBuffer, Literal } from './line-buffer.ts';
import type { ControlLine, DataChunk } from './protocol.ts';

export const NDJSON_CONTENT_TYPE = 'application/x-ndjson';

export function encodeNdjsonControl(line: ControlLine): Uint8Array {
  return Buffer.from(`${JSON.stringify(line)}\n`);
}

const STRING = 0x02;
const [QUOTE, COMMA, CLOSE, DASH] = [0x22, 0x2c, 0x7d, 0x2d];
const NAMES = {
  checksum: '\x10checksum\0'.length,
  op: '\x02op\0'.length,
  objectType: '\x02object_type\0'.length,
  objectId: '\x02object_id\0'.length,
  subkey: '\x02subkey\0'.length,
  data: '\x02data\0'.length,
} as const;

const OP = json('{"op":"');
const OBJECT_TYPE = json('","object_type":"');
const OP_ID = json('","op_id":"');
const CHECKSUM = json('","checksum":');
const OBJECT_ID = json(',"object_id":"');
const SUBKEY = json('","subkey":"');
const DATA = json('","data":');

/** A byte of text becomes six at most (`\u001f`); names, quotes and numbers need little more. */
const GROWTH_MAX = 6;
/** Bodies beyond this are looked through, so that a large row does not take six times its size. */
const COUNTED_BYTES = 16 * 1024;
const OP_FRAME_MAX = 192;

/** @param rawData whether `data` stays JSON text; if not, it is embedded, byte for byte, as old clients expect it */
export function putNdjsonData(chunk: DataChunk, line: LineBuffer, rawData: boolean): void {
  const { bucket, after, hasMore, slices, nextAfter } = chunk;
  const head = `{"data":{"bucket":${JSON.stringify(bucket)},"after":"${after}","has_more":${hasMore},"data":[`;
  line.reserve(3 * head.length);
  line.text(head);
  const first = line.end;
  for (const { run, from, to } of slices) {
    for (let at = from; at < to; at++) {
      line.reserve(bytesMaxOf(run, at) + OP_FRAME_MAX);
      if (line.end > first) line.byte(COMMA);
      putOp(line, run, at, rawData);
    }
  }
  const tail = `],"next_after":"${nextAfter}"}}\n`;
  line.reserve(tail.length);
  line.text(tail);
}

function bytesMaxOf(run: OpRun, at: number): number {
  const from = run.bodyAt(at);
  const end = run.bodyAt(at + 1);
  return end - from < COUNTED_BYTES ? (end - from) * GROWTH_MAX : escapedLength(run.space, from, end);
}

/** What is the same in most ops that follow each other comes first, so that it is one copy. */
function putOp(line: LineBuffer, run: OpRun, at: number, rawData: boolean): void {
  const { space } = run;
  const end = run.bodyAt(at + 1);
  let from = putKind(line, space, run.bodyAt(at) + NAMES.checksum + 4);
  line.decimal(run.opId(at));
  line.literal(CHECKSUM);
  putSigned(line, run.checksum(at));
  line.literal(OBJECT_ID);
  from = putText(line, space, from + NAMES.objectId);
  line.literal(SUBKEY);
  from = putText(line, space, from + NAMES.subkey);
  if (from === end) {
    line.byte(QUOTE);
  } else {
    line.literal(DATA);
    from = putData(line, space, from + NAMES.data, rawData);
  }
  invariant(from === end, 'ndjson: an op body has other elements than it should');
  line.byte(CLOSE);
}

function putSigned(line: LineBuffer, value: number): void {
  if (value < 0) line.byte(DASH);
  line.decimal(Math.abs(value));
}

/** Kind and object type, the same in nearly all bodies that follow each other: as they stand in a body, and in JSON. */
let kind = { body: new ByteSpace(Buffer.alloc(0)), json: json('') };

/** @returns where their elements end */
function putKind(line: LineBuffer, space: ByteSpace, from: number): number {
  if (startsWith(space, from, kind.body)) {
    line.literal(kind.json);
    return from + kind.body.bytes.length;
  }
  invariant(space.bytes[from] === STRING, 'ndjson: an op body has other elements than it should');
  const start = line.end;
  line.literal(OP);
  let end = putText(line, space, from + NAMES.op);
  line.literal(OBJECT_TYPE);
  end = putText(line, space, end + NAMES.objectType);
  line.literal(OP_ID);
  const { bytes } = line.space;
  kind = { body: copyOf(space, from, end), json: new Literal(bytes.subarray(start, line.end)) };
  return end;
}

function startsWith({ bytes, view }: ByteSpace, from: number, start: ByteSpace): boolean {
  const { length } = start.bytes;
  if (length === 0 || bytes.length - from < length) return false;
  let at = 0;
  for (; at + 4 <= length; at += 4) if (view.getInt32(from + at) !== start.view.getInt32(at)) return false;
  for (; at < length; at++) if (bytes[from + at] !== start.bytes[at]) return false;
  return true;
}

/** A string's value. @param at where its length stands @returns where it ends */
function putText(line: LineBuffer, space: ByteSpace, at: number): number {
  const end = at + 4 + space.view.getInt32(at, true);
  line.end = copyEscapedJson(space, at + 4, end - 1, line.space, line.end);
  return end;
}

function putData(line: LineBuffer, space: ByteSpace, at: number, rawData: boolean): number {
  const end = at + 4 + space.view.getInt32(at, true);
  if (rawData) {
    line.byte(QUOTE);
    line.end = copyEscapedJson(space, at + 4, end - 1, line.space, line.end);
    line.byte(QUOTE);
  } else {
    line.end = copyBytes(space, at + 4, end - 1, line.space, line.end);
  }
  return end;
}

function json(text: string): Literal {
  return new Literal(Buffer.from(text, 'latin1'));
}

function copyOf({ bytes }: ByteSpace, from: number, to: number): ByteSpace {
  return new ByteSpace(Buffer.from(bytes.subarray(from, to)));
}

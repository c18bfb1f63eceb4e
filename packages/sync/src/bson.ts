/**
 * Lines as BSON documents. Data lines are the hot path: op bodies are stored as BSON elements already, so a line is
 * laid out by hand, and each op is a copy with its number and id before it. Everything else is small.
 */
import { serialize } from 'bson';
import { countOps, type OpRun } from '@sluice/storage';
import { type LineBuffer, Literal } from './line-buffer.ts';
import type { ControlLine, DataChunk } from './protocol.ts';

/** Exactly this: clients compare it literally, and take anything else for text. */
export const BSON_CONTENT_TYPE = 'application/vnd.powersync.bson-stream';

export function encodeBsonControl(line: ControlLine): Uint8Array {
  return serialize(line);
}

const DATA_DOCUMENT = name(0x03, 'data');
const BUCKET = name(0x02, 'bucket');
const AFTER = name(0x02, 'after');
const HAS_MORE = name(0x08, 'has_more');
const DATA_ARRAY = name(0x04, 'data');
const NEXT_AFTER = name(0x02, 'next_after');
const OP_ID = name(0x02, 'op_id');
const DOCUMENT = 0x03;
/** Names, lengths and numbers of a line; number, length, id and end of one op. */
const LINE_FRAME_MAX = 160;
const OP_FRAME_MAX = 48;

export function putBsonData(chunk: DataChunk, line: LineBuffer): void {
  const { bucket, slices } = chunk;
  const bodies = slices.reduce((bytes, slice) => bytes + slice.bytes, 0);
  line.reserve(LINE_FRAME_MAX + 3 * bucket.length + countOps(slices) * OP_FRAME_MAX + bodies);
  const outer = open(line);
  line.literal(DATA_DOCUMENT);
  const inner = open(line);
  line.literal(BUCKET);
  const text = open(line);
  line.text(bucket);
  closeText(line, text);
  line.literal(AFTER);
  putDecimal(line, chunk.after);
  line.literal(HAS_MORE);
  line.byte(chunk.hasMore ? 1 : 0);
  line.literal(DATA_ARRAY);
  const array = open(line);
  let index = 0;
  for (const { run, from, to } of slices) for (let at = from; at < to; at++) putOp(line, index++, run, at);
  close(line, array);
  line.literal(NEXT_AFTER);
  putDecimal(line, chunk.nextAfter);
  close(line, inner);
  close(line, outer);
}

function putOp(line: LineBuffer, index: number, run: OpRun, at: number): void {
  line.byte(DOCUMENT);
  line.decimal(index);
  line.byte(0);
  const op = open(line);
  line.literal(OP_ID);
  putDecimal(line, run.opId(at));
  line.copy(run.space, run.bodyAt(at), run.bodyAt(at + 1));
  close(line, op);
}

/** Leaves room for a length. @returns where it stands */
function open(line: LineBuffer): number {
  const start = line.end;
  line.end += 4;
  return start;
}

/** The length of a document counts itself, that of a text does not. */
function close(line: LineBuffer, start: number): void {
  line.byte(0);
  line.int32At(start, line.end - start);
}

function closeText(line: LineBuffer, start: number): void {
  line.byte(0);
  line.int32At(start, line.end - start - 4);
}

/** A number as a BSON string of decimal digits. */
function putDecimal(line: LineBuffer, value: number): void {
  const text = open(line);
  line.decimal(value);
  closeText(line, text);
}

function name(type: number, text: string): Literal {
  return new Literal(Buffer.from(`${String.fromCharCode(type)}${text}\0`, 'latin1'));
}

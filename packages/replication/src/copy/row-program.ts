/**
 * The memory of the program that packs copied rows (pack-rows.wat), and the calls across its border: values of some rows are
 * copied in, what is to become of each row is noted, and slots and bodies are copied out. The memory never grows, and nothing
 * in it outlives the call that put it there.
 */
import type { ByteRows } from '@sluice/core';
import { escapeArrangements } from '@sluice/sync-rules';
import { PACK_ROWS_PROGRAM } from './pack-rows-program.ts';
import { PLAN, type PlannedObject, type RowPlan } from './row-plan.ts';

/** Places in the memory, which the program knows, too. Numbers of four bytes each are counted in `words`. */
const ARRANGEMENTS = 0x1000;
const CRC_TABLES = 0x2000;
const OUTLINES = 0x10000;
const BUCKETS = 0x20000;
const STARTS = 0x40000;
const ENDS = 0x50000;
const SLOT_ENDS = 0x60000;
const BODY_ENDS = 0x64000;
const CHECKSUMS = 0x68000;
const VALUES = 0x70000;
export const SLOTS = 0x90000;
export const BODIES = 0x110000;

const ROWS_MAX = 128;
const VALUES_MAX = (ENDS - STARTS) / 4;
/** The program reads whole vectors, also behind the last value. */
const VALUE_BYTES_MAX = SLOTS - VALUES - 16;
const OUTLINE_BYTES_MAX = BUCKETS - OUTLINES;
const BUCKET_BYTES_MAX = STARTS - BUCKETS - 16;
/** The number of a row's ops is one byte, and lists of them have room for as many of each row. */
const ROW_OPS_MAX = 32;

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly pack: (plan: number, outline: number, row: number, count: number, origin: number, from: number) => number;
}

export class RowProgram {
  readonly bytes: Buffer;
  /** Where slots, and bodies, end, and the checksums of these. */
  readonly slotEnds: Int32Array;
  readonly bodyEnds: Int32Array;
  readonly checksums: Int32Array;
  readonly #words: Int32Array;
  readonly #pack: Exports['pack'];
  #plan: RowPlan | null = null;
  #planEnd = 0;
  /** Where values stand, from the address that the first of all would have. */
  #origin = 0;
  #outlineEnd = OUTLINES;
  #bucketsEnd = BUCKETS;
  #bucket = '';
  #bucketAt = 0;
  #bucketBytes = -1;

  constructor() {
    const module = new WebAssembly.Module(Buffer.from(PACK_ROWS_PROGRAM, 'base64'));
    const { memory, pack } = new WebAssembly.Instance(module).exports as unknown as Exports;
    this.bytes = Buffer.from(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    this.slotEnds = this.#words.subarray(SLOT_ENDS / 4, BODY_ENDS / 4);
    this.bodyEnds = this.#words.subarray(BODY_ENDS / 4, CHECKSUMS / 4);
    this.checksums = this.#words.subarray(CHECKSUMS / 4, VALUES / 4);
    this.#pack = pack;
    this.bytes.set(escapeArrangements(), ARRANGEMENTS);
    this.#words.set(crcTables(), CRC_TABLES / 4);
  }

  /** Copies the values of rows from `from` on. @returns the first row that is not there; `from` if it is too large */
  load(rows: ByteRows, from: number, to: number): number {
    const { columns, starts, ends } = rows;
    const first = from * columns;
    const start = rows.startOf(from);
    let end = Math.min(to, from + ROWS_MAX, from + Math.floor(VALUES_MAX / columns));
    while (end > from && rows.startOf(end) - start > VALUE_BYTES_MAX) end = from + ((end - from) >> 1);
    if (end === from) return from;
    this.bytes.set(rows.bytes.subarray(start, rows.startOf(end)), VALUES);
    this.#words.set(starts.subarray(first, end * columns), STARTS / 4);
    this.#words.set(ends.subarray(first, end * columns), ENDS / 4);
    this.#origin = VALUES - start;
    this.#outlineEnd = OUTLINES;
    this.#bucketsEnd = BUCKETS;
    this.#bucketBytes = -1;
    return end;
  }

  /** Notes a row without ops. @returns its outline, which notes of ops go to */
  noteRow(): number {
    const outline = this.#outlineEnd;
    this.#words[outline >> 2] = 0;
    this.#outlineEnd += 4;
    return outline;
  }

  /** @returns false if there is no room for it */
  noteOp(outline: number, bucket: string, object: PlannedObject): boolean {
    const words = this.#words;
    const ops = words[outline >> 2] as number;
    const at = this.#outlineEnd;
    if (ops >= ROW_OPS_MAX || at + 16 > OUTLINES + OUTLINE_BYTES_MAX || !this.#noteBucket(bucket)) return false;
    words[at >> 2] = this.#bucketAt;
    words[(at >> 2) + 1] = this.#bucketBytes;
    words[(at >> 2) + 2] = object.at;
    words[outline >> 2] = ops + 1;
    this.#outlineEnd = at + 12;
    return true;
  }

  #noteBucket(bucket: string): boolean {
    if (this.#bucketBytes >= 0 && bucket === this.#bucket) return true;
    if (this.#bucketsEnd + 3 * bucket.length > BUCKETS + BUCKET_BYTES_MAX) return false;
    this.#bucket = bucket;
    this.#bucketAt = this.#bucketsEnd;
    this.#bucketBytes = this.bytes.write(bucket, this.#bucketAt);
    this.#bucketsEnd += this.#bucketBytes;
    return true;
  }

  /**
   * @param row the first one, of those that were loaded
   * @param outline of that row
   * @param from where that row starts, as `ByteRows` says it
   * @returns how many rows it packed; the next one has to be packed elsewhere if this is none
   */
  pack(
    plan: RowPlan,
    row: { readonly index: number; readonly outline: number; readonly from: number },
    count: number,
  ): number {
    if (this.#plan !== plan || this.#planEnd !== plan.end) {
      this.bytes.set(plan.image.subarray(0, plan.end), PLAN);
      this.#plan = plan;
      this.#planEnd = plan.end;
    }
    return this.#pack(PLAN, row.outline, row.index, count, this.#origin, row.from);
  }
}

/** Shared by all copies. Null where it cannot run: x86 without SSE 4.1, a limit on addresses. */
export const rowProgram = openRowProgram();

function openRowProgram(): RowProgram | null {
  try {
    return new RowProgram();
  } catch {
    return null;
  }
}

/** CRC-32 of each byte with 0 to 15 zeros behind it. */
function crcTables(): Int32Array {
  const tables = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0xedb88320 : 0);
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const shorter = tables[at - 256] as number;
    tables[at] = (shorter >>> 8) ^ (tables[shorter & 0xff] as number);
  }
  return tables;
}

/** Groups of records (record-groups.ts) made of packed rows. */
import { type PackedRows, PARTIAL, type Places } from '@sluice/storage';
import type { Arena } from '../arena.ts';
import { GROUP_SLOTS, RECORD_GROUP_BYTES } from '../config.ts';
import { hashSlotKey } from '../keys.ts';
import { allOf, copyItems } from './copy-items.ts';

const END_BYTES = 4;
const COUNT_BYTES = 1;

export class PackedGroups {
  readonly groups: Buffer[] = [];
  /** Per row, its number counted from the first group, and the hash of its key. */
  readonly numbers: Uint32Array;
  readonly hashes: Uint32Array;
  /** Rows whose records miss values. */
  readonly partials: number[] = [];
  readonly #slots: Places;
  readonly #rows: Int32Array;
  readonly #arena: Arena;
  #packed = 0;

  constructor({ slots }: PackedRows, arena: Arena) {
    this.numbers = new Uint32Array(slots.count);
    this.hashes = new Uint32Array(slots.count);
    this.#rows = allOf(slots.count);
    this.#slots = slots;
    this.#arena = arena;
  }

  /** Packs one group. @returns whether there was one left */
  packNext(): boolean {
    const from = this.#packed;
    const to = this.#endOfGroup(from);
    if (to === from) return false;
    const slots = this.#slots;
    let bytes = 0;
    for (let at = from; at < to; at++) bytes += slots.length(at);
    const length = bytes + END_BYTES * (to - from) + COUNT_BYTES;
    const start = this.#arena.take(length);
    const { space } = this.#arena;
    copyItems(slots, { numbers: this.#rows, from, to }, space, start);
    let end = 0;
    for (let at = from, put = start + bytes; at < to; at++, put += END_BYTES) {
      end += slots.length(at);
      space.view.setUint32(put, end, true);
    }
    space.bytes[start + length - COUNT_BYTES] = to - from;
    this.#numberRows(from, to);
    this.groups.push(space.bytes.subarray(start, start + length));
    this.#packed = to;
    return true;
  }

  #endOfGroup(from: number): number {
    const slots = this.#slots;
    const last = Math.min(slots.count, from + GROUP_SLOTS);
    let bytes = COUNT_BYTES;
    for (let at = from; at < last; at++) {
      bytes += slots.length(at) + END_BYTES;
      if (bytes > RECORD_GROUP_BYTES) return Math.max(at, from + 1);
    }
    return last;
  }

  #numberRows(from: number, to: number): void {
    const slots = this.#slots;
    const first = this.groups.length * GROUP_SLOTS - from;
    for (let at = from; at < to; at++) {
      const [{ bytes }, start] = [slots.space(at), slots.start(at)];
      this.numbers[at] = first + at;
      this.hashes[at] = hashSlotKey(bytes, start);
      if (((bytes[start] as number) & PARTIAL) !== 0) this.partials.push(at);
    }
  }
}

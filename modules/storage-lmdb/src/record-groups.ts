/**
 * Source records as they are stored: up to 64 of one table in one value, so that copying a table appends large values.
 *
 *     group: slots | count * u32 end of slot | u8 count
 *
 * little-endian; a slot is a key and its record, or empty. A record's number is `group * GROUP_SLOTS + slot` and stays while the
 * record or its tombstone lives.
 */
import { ByteSpace, copyBytes, invariant, type RecordKey } from '@sluice/core';
import { type Item, keyEnd, keyOf } from '@sluice/storage';
import { GROUP_SLOTS, RECORD_GROUP_BYTES } from './config.ts';

export const EMPTY_SLOT = Buffer.alloc(0);

const BLOCK_BYTES = 1 << 20;
/** What stands behind the slots of a group. */
const END_BYTES_MAX = 4 * GROUP_SLOTS + 1;

export interface StoredRecord {
  readonly number: number;
  readonly key: RecordKey;
  readonly flags: number;
  /** Empty for tombstones. */
  readonly record: Uint8Array;
}

export function groupOf(number: number): number {
  return Math.floor(number / GROUP_SLOTS);
}

export function slotOf(number: number): number {
  return number % GROUP_SLOTS;
}

/** Puts slots one behind the other and cuts them into groups, in large blocks of memory. */
export class GroupPacker {
  readonly groups: Buffer[] = [];
  #block = new ByteSpace(Buffer.allocUnsafeSlow(0));
  #start = 0;
  #at = 0;
  readonly #ends = new Uint32Array(GROUP_SLOTS);
  #slots = 0;

  /** @returns the record's number, counted from the packer's first group */
  add({ space, start, end }: Item): number {
    const bytes = end - start;
    if (!this.#fits(bytes)) this.seal();
    if (this.#at + bytes + END_BYTES_MAX > this.#block.bytes.length) this.#nextBlock(bytes);
    this.#at = copyBytes(space, start, end, this.#block, this.#at);
    this.#ends[this.#slots] = this.#at - this.#start;
    return this.groups.length * GROUP_SLOTS + this.#slots++;
  }

  /** Ends the open group. */
  seal(): void {
    if (this.#slots === 0) return;
    const { bytes, view } = this.#block;
    for (let slot = 0; slot < this.#slots; slot++) {
      view.setUint32(this.#at, this.#ends[slot] as number, true);
      this.#at += 4;
    }
    bytes[this.#at++] = this.#slots;
    this.groups.push(bytes.subarray(this.#start, this.#at));
    this.#start = this.#at;
    this.#slots = 0;
  }

  #fits(bytes: number): boolean {
    if (this.#slots === 0) return true;
    const used = this.#at - this.#start + 4 * (this.#slots + 1) + 1;
    return this.#slots < GROUP_SLOTS && used + bytes <= RECORD_GROUP_BYTES;
  }

  #nextBlock(bytes: number): void {
    const open = this.#block.bytes.subarray(this.#start, this.#at);
    const block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, open.length + bytes + END_BYTES_MAX));
    open.copy(block);
    this.#block = new ByteSpace(block);
    this.#at = open.length;
    this.#start = 0;
  }
}

/** Views `slot`. */
export function readSlot(slot: Buffer, number: number): StoredRecord {
  const record = slot.subarray(keyEnd(slot, 0));
  return { number, key: keyOf(slot, 0), flags: slot[0] as number, record };
}

/** One slot of a group, viewing it; empty if the group has no such slot. */
export function slotIn(group: Buffer, slot: number): Buffer {
  const count = slotCount(group);
  if (slot >= count) return EMPTY_SLOT;
  const ends = group.length - 1 - 4 * count;
  const start = slot === 0 ? 0 : group.readUInt32LE(ends + 4 * (slot - 1));
  const end = group.readUInt32LE(ends + 4 * slot);
  return start === end ? EMPTY_SLOT : group.subarray(start, end);
}

function slotCount(group: Buffer): number {
  const count = group[group.length - 1];
  invariant(count !== undefined && count <= GROUP_SLOTS, 'record group: broken end');
  return count;
}

/** Views `group`, which must not be reused. */
export function unpackGroup(group: Buffer): Buffer[] {
  return Array.from({ length: slotCount(group) }, (_, slot) => slotIn(group, slot));
}

/** The group with some slots replaced; empty if nothing is left in it. */
export function withSlots(group: Buffer, changed: ReadonlyMap<number, Buffer>): Buffer {
  const count = slotCount(group);
  const ends = group.length - 1 - 4 * count;
  let bytes = group.length;
  for (const [slot, replacement] of changed) bytes += replacement.length - slotIn(group, slot).length;
  const packed = Buffer.allocUnsafe(bytes);
  let start = 0;
  let at = 0;
  for (let slot = 0; slot < count; slot++) {
    const end = group.readUInt32LE(ends + 4 * slot);
    const replacement = changed.get(slot);
    if (replacement === undefined) at += group.copy(packed, at, start, end);
    else at += replacement.copy(packed, at);
    packed.writeUInt32LE(at, bytes - 1 - 4 * (count - slot));
    start = end;
  }
  packed[bytes - 1] = count;
  return at === 0 ? EMPTY_SLOT : packed;
}

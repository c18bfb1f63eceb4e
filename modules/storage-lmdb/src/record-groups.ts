/**
 * Source records as they are stored: up to 64 of one table in one value, so that copying a table appends large values.
 *
 *     group: slots | count * u32 end of slot | u8 count         slot: u8 flags | u16 key bytes | key | record
 *
 * little-endian; an empty slot holds nothing. A record's number is `group * GROUP_SLOTS + slot` and stays while the
 * record or its tombstone lives.
 */
import { invariant, readUtf8, type RecordKey, writeText } from '@sluice/core';
import { GROUP_SLOTS, RECORD_GROUP_BYTES } from './config.ts';

export const TOMBSTONE = 1;
export const PARTIAL = 2;

export const EMPTY_SLOT = Buffer.alloc(0);

const BLOCK_BYTES = 1 << 20;
const SLOT_HEAD_BYTES = 3;

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

/** Writes slots one behind the other and cuts them into groups, in large blocks of memory. */
export class GroupPacker {
  readonly groups: Buffer[] = [];
  #block = Buffer.allocUnsafeSlow(0);
  #start = 0;
  #at = 0;
  readonly #ends = new Uint32Array(GROUP_SLOTS);
  #slots = 0;

  /** @returns the record's number, counted from the packer's first group */
  add(key: RecordKey, flags: number, record: Uint8Array): number {
    const bound = SLOT_HEAD_BYTES + 3 * key.length + record.length;
    if (!this.#fits(bound)) this.seal();
    if (this.#at + bound + 4 * GROUP_SLOTS + 1 > this.#block.length) this.#nextBlock(bound);
    const block = this.#block;
    const keyBytes = writeText(block, key, this.#at + SLOT_HEAD_BYTES);
    block[this.#at] = flags;
    block[this.#at + 1] = keyBytes & 0xff;
    block[this.#at + 2] = keyBytes >>> 8;
    block.set(record, this.#at + SLOT_HEAD_BYTES + keyBytes);
    this.#at += SLOT_HEAD_BYTES + keyBytes + record.length;
    this.#ends[this.#slots] = this.#at - this.#start;
    return this.groups.length * GROUP_SLOTS + this.#slots++;
  }

  /** Ends the open group. */
  seal(): void {
    if (this.#slots === 0) return;
    for (let slot = 0; slot < this.#slots; slot++) {
      this.#block.writeUInt32LE(this.#ends[slot] as number, this.#at);
      this.#at += 4;
    }
    this.#block[this.#at++] = this.#slots;
    this.groups.push(this.#block.subarray(this.#start, this.#at));
    this.#start = this.#at;
    this.#slots = 0;
  }

  #fits(bytes: number): boolean {
    if (this.#slots === 0) return true;
    const used = this.#at - this.#start + 4 * (this.#slots + 1) + 1;
    return this.#slots < GROUP_SLOTS && used + bytes <= RECORD_GROUP_BYTES;
  }

  #nextBlock(bound: number): void {
    const open = this.#block.subarray(this.#start, this.#at);
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, open.length + bound + 4 * GROUP_SLOTS + 1));
    open.copy(this.#block);
    this.#at = open.length;
    this.#start = 0;
  }
}

export function packSlot(key: RecordKey, flags: number, record: Uint8Array): Buffer {
  const slot = Buffer.allocUnsafe(SLOT_HEAD_BYTES + Buffer.byteLength(key) + record.length);
  const keyBytes = slot.write(key, SLOT_HEAD_BYTES);
  slot[0] = flags;
  slot.writeUInt16LE(keyBytes, 1);
  slot.set(record, SLOT_HEAD_BYTES + keyBytes);
  return slot;
}

/** Views `slot`. */
export function readSlot(slot: Buffer, number: number): StoredRecord {
  const keyEnd = SLOT_HEAD_BYTES + slot.readUInt16LE(1);
  return {
    number,
    key: readUtf8(slot, SLOT_HEAD_BYTES, keyEnd),
    flags: slot[0] as number,
    record: slot.subarray(keyEnd),
  };
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

/**
 * Source records as they are stored: up to 64 of one table in one value, so that copying a table appends large values.
 *
 *     group: u8 count | count * u32 end of slot | slots         slot: u8 flags | u16 key bytes | key | record
 *
 * little-endian, slot ends counted from the first slot; an empty slot holds nothing. A record's number is
 * `group * GROUP_SLOTS + slot` and stays while the record or its tombstone lives.
 */
import { invariant, type RecordKey } from '@sluice/core';
import { GROUP_SLOTS, RECORD_GROUP_BYTES } from './config.ts';

export const TOMBSTONE = 1;
export const PARTIAL = 2;

const NOTHING = Buffer.alloc(0);

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

export function packSlot(key: RecordKey, flags: number, record: Uint8Array): Buffer {
  const slot = Buffer.allocUnsafe(3 + Buffer.byteLength(key) + record.length);
  writeSlot(slot, 0, { key, flags, record });
  return slot;
}

function writeSlot(target: Buffer, at: number, { key, flags, record }: Omit<StoredRecord, 'number'>): number {
  const keyBytes = target.write(key, at + 3);
  target[at] = flags;
  target.writeUInt16LE(keyBytes, at + 1);
  target.set(record, at + 3 + keyBytes);
  return at + 3 + keyBytes + record.length;
}

/** Views `slot`. */
export function readSlot(slot: Buffer, number: number): StoredRecord {
  const keyEnd = 3 + slot.readUInt16LE(1);
  return { number, key: slot.toString('utf8', 3, keyEnd), flags: slot[0] as number, record: slot.subarray(keyEnd) };
}

export function packGroup(slots: readonly Buffer[]): Buffer {
  let bytes = 1 + 4 * slots.length;
  for (const slot of slots) bytes += slot.length;
  const group = Buffer.allocUnsafe(bytes);
  group[0] = slots.length;
  let end = 0;
  for (let at = 0; at < slots.length; at++) {
    const slot = slots[at] as Buffer;
    group.set(slot, 1 + 4 * slots.length + end);
    end += slot.length;
    group.writeUInt32LE(end, 1 + 4 * at);
  }
  return group;
}

/** Views `group`, which must not be reused. */
export function unpackGroup(group: Buffer): Buffer[] {
  const count = group[0];
  invariant(count !== undefined && count <= GROUP_SLOTS, 'record group: broken head');
  const first = 1 + 4 * count;
  const slots: Buffer[] = [];
  let start = first;
  for (let at = 0; at < count; at++) {
    const end = first + group.readUInt32LE(1 + 4 * at);
    slots.push(group.subarray(start, end));
    start = end;
  }
  return slots;
}

export function emptySlot(): Buffer {
  return NOTHING;
}

/** Whether another slot of `bytes` still fits a group that has `slots` slots of `used` bytes. */
export function fitsGroup(slots: number, used: number, bytes: number): boolean {
  if (slots === 0) return true;
  return slots < GROUP_SLOTS && 1 + 4 * (slots + 1) + used + bytes <= RECORD_GROUP_BYTES;
}

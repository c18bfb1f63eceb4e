/**
 * A row's key with its record, in one piece:
 *
 *     u8 flags | u16 key bytes | key | record        (little-endian)
 */
import { readUtf8, type RecordKey } from '@sluice/core';

export const TOMBSTONE = 1;
/** The record misses values. */
export const PARTIAL = 2;

export const SLOT_HEAD_BYTES = 3;

export function packSlot(key: RecordKey, flags: number, record: Uint8Array): Buffer {
  const slot = Buffer.allocUnsafe(SLOT_HEAD_BYTES + Buffer.byteLength(key) + record.length);
  const keyBytes = slot.write(key, SLOT_HEAD_BYTES);
  slot[0] = flags;
  slot.writeUInt16LE(keyBytes, 1);
  slot.set(record, SLOT_HEAD_BYTES + keyBytes);
  return slot;
}

/** @param from where the slot starts in `bytes` @returns where its key ends */
export function keyEnd(bytes: Buffer, from: number): number {
  return from + SLOT_HEAD_BYTES + (bytes[from + 1] as number) + 256 * (bytes[from + 2] as number);
}

export function keyOf(bytes: Buffer, from: number): RecordKey {
  return readUtf8(bytes, from + SLOT_HEAD_BYTES, keyEnd(bytes, from));
}

/** Hash of a record key → numbers of the records that may have it: `u40 number` each, nearly always one. */
import type { Schema } from './schema.ts';

const ENTRY_BYTES = 6;
const NONE: readonly number[] = [];
const ONLY_IF_ABSENT = { noOverwrite: true } as const;

export function readIndex({ index }: Schema, key: Buffer): readonly number[] {
  const bytes = index.getBinaryFast(key);
  if (bytes === undefined) return NONE;
  if (bytes.length === ENTRY_BYTES) return [bytes.readUIntBE(0, ENTRY_BYTES)];
  const numbers: number[] = [];
  for (let at = 0; at < bytes.length; at += ENTRY_BYTES) numbers.push(bytes.readUIntBE(at, ENTRY_BYTES));
  return numbers;
}

/** Writes the entry of a hash that is not there yet. @returns false, and writes nothing, if it is. */
export function addIfAbsent({ index }: Schema, key: Buffer, entry: Buffer): boolean {
  // lmdb declares no result, but answers whether the value was put.
  const written: unknown = index.putSync(key, entry, ONLY_IF_ABSENT);
  return written === true;
}

export function addToIndex(schema: Schema, key: Buffer, number: number): void {
  const numbers = readIndex(schema, key);
  schema.index.putSync(key, packNumbers([...numbers, number]));
}

export function removeFromIndex(schema: Schema, key: Buffer, number: number): void {
  const left = readIndex(schema, key).filter((other) => other !== number);
  if (left.length === 0) schema.index.removeSync(key);
  else schema.index.putSync(key, packNumbers(left));
}

export function packNumbers(numbers: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(ENTRY_BYTES * numbers.length);
  numbers.forEach((number, at) => bytes.writeUIntBE(number, at * ENTRY_BYTES, ENTRY_BYTES));
  return bytes;
}

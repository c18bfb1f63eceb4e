/**
 * Binary keys: fixed-width big-endian numbers, so that byte order is number order. Every function returns a view of one
 * shared buffer, valid until the next call of the same function: LMDB copies keys before it returns.
 */
import { createHash } from 'node:crypto';
import type { OpId, StreamId, TableId } from '@sluice/core';
import { keyEnd, keyOf, SLOT_HEAD_BYTES } from '@sluice/storage';

const U32 = 2 ** 32;

function putU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32BE(Math.floor(value / U32), at);
  target.writeUInt32BE(value % U32, at + 4);
}

/** Byte by byte: keys are small, and to ask a small array for its buffer moves it out of the heap. */
export function getU64(source: Uint8Array, at: number): number {
  return getU32(source, at) * U32 + getU32(source, at + 4);
}

function getU32(source: Uint8Array, at: number): number {
  let value = 0;
  for (let byte = at; byte < at + 4; byte++) value = value * 256 + (source[byte] as number);
  return value;
}

/** Everything of one stream in a store starts with its number. */
export function streamPrefix(stream: StreamId): Buffer {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(stream);
  return key;
}

/** The first key behind all keys that start with `prefix`. */
export function afterPrefix(prefix: Uint8Array): Buffer {
  const key = Buffer.from(prefix);
  for (let at = key.length - 1; at >= 0; at--) {
    if (key[at] !== 0xff) {
      key[at] = (key[at] as number) + 1;
      return key.subarray(0, at + 1);
    }
  }
  return Buffer.alloc(16, 0xff);
}

const op = Buffer.alloc(16);

/** Store `ops`: a run of ops under the id of its last one. */
export function opKey(stream: StreamId, bucket: number, lastOp: OpId): Buffer {
  op.writeUInt32BE(stream, 0);
  op.writeUInt32BE(bucket, 4);
  putU64(op, lastOp, 8);
  return op;
}

const group = Buffer.alloc(12);

/** Store `records`: a group of records of one table. */
export function groupKey(stream: StreamId, table: TableId, number: number): Buffer {
  group.writeUInt32BE(stream, 0);
  group.writeUInt32BE(table, 4);
  group.writeUInt32BE(number, 8);
  return group;
}

const index = Buffer.alloc(13);

/** Store `index`: the page of the hashes that begin with the `depth` bits of `prefix`. */
export function indexKey(stream: StreamId, table: TableId, depth: number, prefix: number): Buffer {
  index.writeUInt32BE(stream, 0);
  index.writeUInt32BE(table, 4);
  index[8] = depth;
  index.writeUInt32BE(prefix, 9);
  return index;
}

const indexBlock = Buffer.alloc(16);

/** Store `indexJournal`: a part of a block. */
export function indexBlockKey(stream: StreamId, table: TableId, block: { number: number; part: number }): Buffer {
  indexBlock.writeUInt32BE(stream, 0);
  indexBlock.writeUInt32BE(table, 4);
  indexBlock.writeUInt32BE(block.number, 8);
  indexBlock.writeUInt32BE(block.part, 12);
  return indexBlock;
}

/** Store `indexJournal`: all parts of a block. */
export function indexBlockPrefix(stream: StreamId, table: TableId, number: number): Buffer {
  return Buffer.from(indexBlockKey(stream, table, { number, part: 0 }).subarray(0, 12));
}

const mark = Buffer.alloc(16);

/** Stores `partials` and `tombstones`: one record's number. */
export function markKey(stream: StreamId, table: TableId, record: number): Buffer {
  mark.writeUInt32BE(stream, 0);
  mark.writeUInt32BE(table, 4);
  putU64(mark, record, 8);
  return mark;
}

const change = Buffer.alloc(12);

/** Store `changes`: a flush under its last op. */
export function changeKey(stream: StreamId, lastOp: OpId): Buffer {
  change.writeUInt32BE(stream, 0);
  putU64(change, lastOp, 4);
  return change;
}

const NAME_BYTES_MAX = 512;

/** Length and bytes of a text of any length; long ones are replaced by their hash, which is marked as such. */
function boundedText(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(2);
  if (bytes.length <= NAME_BYTES_MAX) {
    head.writeUInt16BE(bytes.length);
    return Buffer.concat([head, bytes]);
  }
  head.writeUInt16BE(0xffff);
  return Buffer.concat([head, createHash('sha256').update(bytes).digest()]);
}

/** Store `buckets`: a bucket's number and sums, by name. */
export function bucketKey(stream: StreamId, name: string): Buffer {
  return Buffer.concat([streamPrefix(stream), boundedText(name)]);
}

/** Store `lookups`: prefix of all entries of one lookup key. */
export function lookupPrefix(stream: StreamId, key: string): Buffer {
  return Buffer.concat([streamPrefix(stream), boundedText(key)]);
}

/** Store `lookups`: one entry of one row. The row's key and the op id are read back by `lookupRow`. */
export function lookupKey(prefix: Buffer, table: TableId, row: string, opId: OpId): Buffer {
  const rowBytes = Buffer.from(row);
  const tail = Buffer.alloc(4 + rowBytes.length + 8);
  tail.writeUInt32BE(table, 0);
  rowBytes.copy(tail, 4);
  putU64(tail, opId, 4 + rowBytes.length);
  return Buffer.concat([prefix, tail]);
}

/** The source row (table and key, as opaque text) and the op id of an entry under a lookup prefix. */
export function lookupRow(key: Buffer, prefixBytes: number): { readonly row: string; readonly opId: OpId } {
  return { row: key.toString('latin1', prefixBytes, key.length - 8), opId: getU64(key, key.length - 8) };
}

/** Store `documents`: one tag per kind, then numbers. */
export type DocumentKind =
  | 'format'
  | 'streamCount'
  | 'stream'
  | 'checkpoint'
  | 'lease'
  | 'counters'
  | 'table'
  | 'task'
  | 'tableSpace'
  | 'error'
  | 'changeLog'
  | 'snapshotControl'
  | 'tablesStamp'
  | 'configured'
  | 'copyWriter'
  | 'copies'
  | 'indexJournal';

const TAGS: Record<DocumentKind, number> = {
  format: 1,
  streamCount: 2,
  stream: 3,
  checkpoint: 4,
  lease: 5,
  counters: 6,
  table: 7,
  task: 8,
  tableSpace: 9,
  error: 10,
  changeLog: 11,
  snapshotControl: 12,
  tablesStamp: 13,
  configured: 14,
  copyWriter: 15,
  copies: 16,
  indexJournal: 17,
};

export function documentKey(kind: DocumentKind, ...numbers: readonly number[]): Buffer {
  const key = Buffer.alloc(1 + 4 * numbers.length);
  key[0] = TAGS[kind];
  for (let at = 0; at < numbers.length; at++) key.writeUInt32BE(numbers[at] as number, 1 + 4 * at);
  return key;
}

/** Store `users`: write checkpoints. */
export function userKey(user: string): Buffer {
  return boundedText(user);
}

/** 32-bit hash of a record key's UTF-16 units. Collisions are resolved by comparing keys. */
export function hashKey(key: string): number {
  let hash = HASH_SEED ^ key.length;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), HASH_FACTOR);
  return mixed(hash);
}

/** The hash of the key in a slot: its bytes are the units, if they are ASCII. */
export function hashSlotKey(bytes: Buffer, start: number): number {
  const end = keyEnd(bytes, start);
  let hash = HASH_SEED ^ (end - start - SLOT_HEAD_BYTES);
  for (let at = start + SLOT_HEAD_BYTES; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte > 0x7f) return hashKey(keyOf(bytes, start));
    hash = Math.imul(hash ^ byte, HASH_FACTOR);
  }
  return mixed(hash);
}

const [HASH_SEED, HASH_FACTOR] = [0x9e3779b9, 0x01000193];

function mixed(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

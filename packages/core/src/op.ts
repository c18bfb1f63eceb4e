/**
 * Ops as they are stored and sent. The body of an op is the run of BSON elements that a client receives, all but
 * `op_id`, which storage assigns at commit:
 *
 *     10 "checksum\0" int32 | 02 "op\0" str | 02 "object_type\0" str | 02 "object_id\0" str | 02 "subkey\0" str
 *                           | 02 "data\0" str                        (put only)
 *
 * A BSON response copies bodies; an NDJSON response decodes them. The checksum is the CRC-32 of the body with zero in its
 * own place, as a signed 32-bit integer: the protocol leaves the function to the server
 * (docs/decisions/0003-op-bodies.md), and clients only add it up.
 */
import { crc32 } from 'node:zlib';
import { invariant } from './assert.ts';
import { writeText } from './text-bytes.ts';

export type OpKind = 'PUT' | 'REMOVE' | 'MOVE' | 'CLEAR';

/** An op before storage gives it an id. */
export interface OpDraft {
  readonly bucket: string;
  readonly checksum: number;
  readonly body: Uint8Array;
}

export interface DecodedOp {
  readonly op: OpKind;
  readonly checksum: number;
  readonly objectType?: string;
  readonly objectId?: string;
  readonly subkey?: string;
  readonly data?: string;
}

const CHECKSUM_AT = '\x10checksum\0'.length;
const FIELDS_FROM = CHECKSUM_AT + 4;
const SUBKEY_HEAD = Buffer.from('\x02subkey\0', 'latin1');
const DATA_HEAD = Buffer.from('\x02data\0', 'latin1');
const SLAB_BYTES = 1 << 20;
const HEADS_MAX = 10_000;

let slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let slabUsed = 0;

/**
 * A row's new state in a bucket.
 * @param data JSON text of a flat object, hashed and sent byte for byte
 */
export function putOp(bucket: string, objectType: string, objectId: string, subkey: string, data: string): OpDraft {
  let at = begin(putHeads, 'PUT', objectType, objectId.length + subkey.length + data.length);
  at = writeString(at, objectId);
  at = writeString(writeHead(at, SUBKEY_HEAD), subkey);
  at = writeString(writeHead(at, DATA_HEAD), data);
  return end(bucket, at);
}

/** The end of a row in a bucket. */
export function removeOp(bucket: string, objectType: string, objectId: string, subkey: string): OpDraft {
  let at = begin(removeHeads, 'REMOVE', objectType, objectId.length + subkey.length);
  at = writeString(at, objectId);
  at = writeString(writeHead(at, SUBKEY_HEAD), subkey);
  return end(bucket, at);
}

/** Everything before the object id's value, by object type: rules have few of them. */
const putHeads = new Map<string, Buffer>();
const removeHeads = new Map<string, Buffer>();

/** Makes room, and writes the head. @returns where the object id goes */
function begin(heads: Map<string, Buffer>, op: OpKind, objectType: string, characters: number): number {
  let head = heads.get(objectType);
  if (head === undefined) {
    if (heads.size >= HEADS_MAX) heads.clear();
    heads.set(objectType, (head = headOf(op, objectType)));
  }
  const bytesMax = head.length + 64 + 3 * characters;
  if (slabUsed + bytesMax > slab.length) {
    slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytesMax));
    slabUsed = 0;
  }
  return writeHead(slabUsed, head);
}

function headOf(op: OpKind, objectType: string): Buffer {
  const checksum = Buffer.from('\x10checksum\0\0\0\0\0', 'latin1');
  return Buffer.concat([
    checksum,
    element('op', op),
    element('object_type', objectType),
    Buffer.from('\x02object_id\0'),
  ]);
}

function element(name: string, value: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32LE(Buffer.byteLength(value) + 1);
  return Buffer.concat([Buffer.from(`\x02${name}\0`), length, Buffer.from(`${value}\0`)]);
}

function writeHead(at: number, head: Buffer): number {
  slab.set(head, at);
  return at + head.length;
}

function writeString(at: number, value: string): number {
  const length = writeText(slab, value, at + 4);
  slab.writeInt32LE(length + 1, at);
  slab[at + 4 + length] = 0;
  return at + 5 + length;
}

function end(bucket: string, at: number): OpDraft {
  const body = slab.subarray(slabUsed, at);
  const checksum = crc32(body) | 0;
  slab.writeInt32LE(checksum, slabUsed + CHECKSUM_AT);
  slabUsed = at;
  return { bucket, checksum, body };
}

const FIELDS = { op: 'op', object_type: 'objectType', object_id: 'objectId', subkey: 'subkey', data: 'data' } as const;

/** Reads a body back. Throws on bytes that this module did not write. */
export function decodeOp(body: Uint8Array): DecodedOp {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const decoded: Record<string, string | number> = { checksum: buffer.readInt32LE(CHECKSUM_AT) };
  let at = FIELDS_FROM;
  while (at < buffer.length) {
    invariant(buffer[at] === 2, 'op body: a string element was expected');
    const nameEnd = buffer.indexOf(0, at);
    const name = buffer.toString('latin1', at + 1, nameEnd) as keyof typeof FIELDS;
    const length = buffer.readInt32LE(nameEnd + 1);
    decoded[FIELDS[name]] = buffer.toString('utf8', nameEnd + 5, nameEnd + 4 + length);
    at = nameEnd + 5 + length;
  }
  return decoded as unknown as DecodedOp;
}

/**
 * Ops as they are stored and sent. The body of an op is the run of BSON elements that a client receives, all but
 * `op_id`, which storage assigns at commit:
 *
 *     10 "checksum\0" int32 | 02 "op\0" str | 02 "object_type\0" str | 02 "object_id\0" str | 02 "subkey\0" str
 *                           | 02 "data\0" str                        (put only)
 *
 * A BSON response copies bodies; an NDJSON response decodes them. The checksum is the CRC-32 of everything behind the
 * checksum element, as a signed 32-bit integer: the protocol leaves the function to the server
 * (docs/decisions/0003-op-bodies.md), and clients only add it up.
 */
import { crc32 } from 'node:zlib';
import { invariant } from './assert.ts';

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

const CHECKSUM_HEAD = Buffer.from('\x10checksum\0', 'latin1');
const CHECKSUM_AT = CHECKSUM_HEAD.length;
const HASHED_FROM = CHECKSUM_AT + 4;
const SLAB_BYTES = 1 << 20;

let slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let slabUsed = 0;

/**
 * A row's new state in a bucket.
 * @param data JSON text of a flat object, hashed and sent byte for byte
 */
export function putOp(bucket: string, objectType: string, objectId: string, subkey: string, data: string): OpDraft {
  return encode(bucket, 'PUT', objectType, objectId, subkey, data);
}

/** The end of a row in a bucket. */
export function removeOp(bucket: string, objectType: string, objectId: string, subkey: string): OpDraft {
  return encode(bucket, 'REMOVE', objectType, objectId, subkey, null);
}

function encode(
  bucket: string,
  op: OpKind,
  objectType: string,
  objectId: string,
  subkey: string,
  data: string | null,
): OpDraft {
  const bytesMax = 128 + 3 * (objectType.length + objectId.length + subkey.length + (data?.length ?? 0));
  if (slabUsed + bytesMax > slab.length) {
    slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytesMax));
    slabUsed = 0;
  }
  const start = slabUsed;
  CHECKSUM_HEAD.copy(slab, start);
  let at = start + HASHED_FROM;
  at = writeElement(at, '\x02op\0', op);
  at = writeElement(at, '\x02object_type\0', objectType);
  at = writeElement(at, '\x02object_id\0', objectId);
  at = writeElement(at, '\x02subkey\0', subkey);
  if (data !== null) at = writeElement(at, '\x02data\0', data);
  slabUsed = at;
  const body = slab.subarray(start, at);
  const checksum = crc32(body.subarray(HASHED_FROM)) | 0;
  slab.writeInt32LE(checksum, start + CHECKSUM_AT);
  return { bucket, checksum, body };
}

function writeElement(at: number, head: string, value: string): number {
  at += slab.write(head, at, 'latin1');
  const length = slab.write(value, at + 4, 'utf8');
  slab.writeInt32LE(length + 1, at);
  slab[at + 4 + length] = 0;
  return at + 5 + length;
}

const FIELDS = { op: 'op', object_type: 'objectType', object_id: 'objectId', subkey: 'subkey', data: 'data' } as const;

/** Reads a body back. Throws on bytes that this module did not write. */
export function decodeOp(body: Uint8Array): DecodedOp {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const decoded: Record<string, string | number> = { checksum: buffer.readInt32LE(CHECKSUM_AT) };
  let at = HASHED_FROM;
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

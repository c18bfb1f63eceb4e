/**
 * Ops as they are stored and sent. The body of an op is the run of BSON elements that a client receives, all but
 * `op_id`, which storage assigns at commit:
 *
 *     10 "checksum\0" int32 | 02 "op\0" str | 02 "object_type\0" str | 02 "object_id\0" str | 02 "subkey\0" str
 *                           | 02 "data\0" str                        (put only)
 *
 * A BSON response copies bodies; an NDJSON response transcribes them. The checksum is the CRC-32 of the body with zero in its
 * own place, as a signed 32-bit integer: the protocol leaves the function to the server
 * (docs/decisions/0003-op-bodies.md), and clients only add it up.
 */
import { invariant } from './assert.ts';
import { CHECKSUM_AT, OpSlab } from './op-slab.ts';
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

const FIELDS_FROM = CHECKSUM_AT + 4;

const slab = new OpSlab();

/**
 * A row's new state in a bucket.
 * @param data JSON text of a flat object, hashed and sent byte for byte
 */
export function putOp(bucket: string, objectType: string, objectId: string, subkey: string, data: string): OpDraft {
  const at = slab.beginPut({ objectType, objectId, subkey }, 3 * data.length);
  const checksum = slab.endPut(at + writeText(slab.bytes, data, at));
  return { bucket, checksum, body: slab.view() };
}

/** The end of a row in a bucket. */
export function removeOp(bucket: string, objectType: string, objectId: string, subkey: string): OpDraft {
  const checksum = slab.remove({ objectType, objectId, subkey });
  return { bucket, checksum, body: slab.view() };
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

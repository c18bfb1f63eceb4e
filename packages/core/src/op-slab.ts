/** Writes bodies of ops (op.ts) one behind the other in large buffers. */
import { crc32 } from 'node:zlib';
import { ByteSlab } from './byte-slab.ts';
import { ByteSpace, copyBytes } from './byte-space.ts';
import { writeText } from './text-bytes.ts';

/** Whose op it is. */
export interface OpObject {
  readonly objectType: string;
  readonly objectId: string;
  /** Tells rows of one object id apart. */
  readonly subkey: string;
}

export const CHECKSUM_AT = '\x10checksum\0'.length;
const SUBKEY_HEAD = spaceOf(Buffer.from('\x02subkey\0', 'latin1'));
const DATA_HEAD = spaceOf(Buffer.from('\x02data\0', 'latin1'));
const HEADS_MAX = 10_000;

/** Everything before the object id's value, by object type: rules have few of them. */
const putHeads = new Map<string, ByteSpace>();
const removeHeads = new Map<string, ByteSpace>();

export class OpSlab extends ByteSlab {
  /** Where the data of the open body starts, behind its length. */
  #data = 0;

  /** @returns where to write the data; there is room for `dataBytes` */
  beginPut(object: OpObject, dataBytes: number): number {
    this.#data =
      this.#writeHead(this.#head(headFor(putHeads, 'PUT', object.objectType), object, dataBytes), DATA_HEAD) + 4;
    return this.#data;
  }

  /** @param to where the data ended @returns the checksum */
  endPut(to: number): number {
    this.#writeLength(this.#data - 4, to - this.#data + 1);
    this.bytes[to] = 0;
    return this.#seal(to + 1);
  }

  /** @returns the checksum */
  remove(object: OpObject): number {
    return this.#seal(this.#head(headFor(removeHeads, 'REMOVE', object.objectType), object, 0));
  }

  /** Makes room, and writes all that stands before the data. */
  #head(head: ByteSpace, { objectId, subkey }: OpObject, dataBytes: number): number {
    this.begin(head.bytes.length + 64 + 3 * (objectId.length + subkey.length) + dataBytes);
    const at = this.#writeString(this.#writeHead(this.start, head), objectId);
    return this.#writeString(this.#writeHead(at, SUBKEY_HEAD), subkey);
  }

  #seal(end: number): number {
    this.end = end;
    const checksum = crc32(this.view()) | 0;
    this.#writeLength(this.start + CHECKSUM_AT, checksum);
    return checksum;
  }

  #writeHead(at: number, head: ByteSpace): number {
    return copyBytes(head, 0, head.bytes.length, this.space, at);
  }

  #writeString(at: number, value: string): number {
    const length = writeText(this.bytes, value, at + 4);
    this.#writeLength(at, length + 1);
    this.bytes[at + 4 + length] = 0;
    return at + 5 + length;
  }

  #writeLength(at: number, value: number): void {
    this.space.view.setInt32(at, value, true);
  }
}

/** Everything of a put before the object id's value. */
export function putHead(objectType: string): Uint8Array {
  return headOf('PUT', objectType);
}

function spaceOf(bytes: Buffer): ByteSpace {
  return new ByteSpace(bytes);
}

function headFor(heads: Map<string, ByteSpace>, op: string, objectType: string): ByteSpace {
  const known = heads.get(objectType);
  if (known !== undefined) return known;
  if (heads.size >= HEADS_MAX) heads.clear();
  const head = spaceOf(headOf(op, objectType));
  heads.set(objectType, head);
  return head;
}

function headOf(op: string, objectType: string): Buffer {
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

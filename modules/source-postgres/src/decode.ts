/**
 * pgoutput, protocol version 1, straight from the wire to stream events. One decoder a connection: the server describes
 * each relation once, before its first row.
 *
 * A tuple is turned into one string and cut up by index: a call into the runtime per row, not per value. That holds
 * while one byte is one UTF-16 unit, which the string's own length tells; other tuples take the road per value.
 */
import type { Column, Position, RawRow, RawValue, Relation, ReplicaIdentity, StreamEvent } from '@sluice/core';
import { SluiceError } from '@sluice/core';
import { position, positionAfter } from './position.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A column whose type is not known yet; the stream fills it in before anyone sees the relation. */
export type UntypedColumn = Mutable<Pick<Column, 'type' | 'typeId' | 'custom'>>;

const BEGIN = 0x42;
const COMMIT = 0x43;
const DELETE = 0x44;
const INSERT = 0x49;
const MESSAGE = 0x4d;
const ORIGIN = 0x4f;
const RELATION = 0x52;
const TRUNCATE = 0x54;
const UPDATE = 0x55;
const TYPE = 0x59;

const NEW_TUPLE = 0x4e;
const OLD_KEY = 0x4b;
const OLD_ROW = 0x4f;

const NULL_VALUE = 0x6e;
const UNCHANGED = 0x75;
const TEXT_VALUE = 0x74;

/** Microseconds-since-2000 of the wire against milliseconds-since-1970. */
const EPOCH_2000_MS = 946_684_800_000;
const TWO_32 = 0x1_0000_0000;

const IDENTITIES: Readonly<Record<string, ReplicaIdentity>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' };

export class Decoder {
  /** Filled by relations with types that are not built in; emptied by whoever finds out about them. */
  readonly untyped: UntypedColumn[] = [];
  readonly #tag: string;
  readonly #builtIn: ReadonlyMap<number, string>;
  readonly #relations = new Map<number, Relation>();
  #inTransaction = false;
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(tag: string, builtIn: ReadonlyMap<number, string>) {
    this.#tag = tag;
    this.#builtIn = builtIn;
  }

  /** Between a begin and its commit. */
  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /**
   * Reads one message, whose bytes may be overwritten after the call.
   * @returns null for what consumers need not know: relations, types, origins, messages inside a transaction
   * @throws SLU_S1155 if the bytes are not a whole message of the protocol
   */
  decode(message: Buffer): StreamEvent | null {
    this.#buffer = message;
    this.#at = 1;
    try {
      const event = this.#message(message[0]);
      if (this.#at !== message.length) throw new RangeError(`${message.length - this.#at} bytes too many`);
      return event;
    } catch (cause) {
      if (cause instanceof SluiceError) throw cause;
      const kind = String.fromCharCode(message[0] ?? 0);
      const problem = cause instanceof Error ? cause.message : String(cause);
      throw new SluiceError('SLU_S1155', `a message ${JSON.stringify(kind)} of the source is malformed: ${problem}`, {
        cause,
      });
    }
  }

  #message(kind: number | undefined): StreamEvent | null {
    switch (kind ?? 0) {
      case INSERT:
        return this.#insert();
      case UPDATE:
        return this.#update();
      case DELETE:
        return this.#delete();
      case BEGIN:
        return this.#begin();
      case COMMIT:
        return this.#commit();
      case RELATION:
        return this.#relation();
      case TRUNCATE:
        return this.#truncate();
      case MESSAGE:
        return this.#logicalMessage();
      case TYPE:
        return this.#type();
      case ORIGIN:
        return this.#origin();
      default:
        throw new RangeError('unknown kind');
    }
  }

  /** Sent before relations with columns of types that are not built in; what these are tells the catalogue instead. */
  #type(): null {
    this.#uint32();
    this.#string();
    this.#string();
    return null;
  }

  #origin(): null {
    this.#lsn();
    this.#string();
    return null;
  }

  #begin(): StreamEvent {
    if (this.#inTransaction) throw new RangeError('a transaction is open already');
    // The commit record starts here. The record of an earlier commit ends at or before this byte.
    const boundary = positionAfter(this.#uint32(), this.#uint32());
    const committedAtMs = this.#timestamp();
    this.#uint32();
    this.#inTransaction = true;
    return { kind: 'begin', boundary, committedAtMs };
  }

  #commit(): StreamEvent {
    if (!this.#inTransaction) throw new RangeError('no transaction is open');
    this.#byte();
    this.#lsn();
    const end = this.#lsn();
    const committedAtMs = this.#timestamp();
    this.#inTransaction = false;
    return { kind: 'commit', position: end, committedAtMs };
  }

  /** Outside a transaction a message tells how far the server has read; inside, the commit will. */
  #logicalMessage(): StreamEvent | null {
    this.#byte();
    const end = this.#lsn();
    this.#string();
    this.#advance(this.#uint32());
    return this.#inTransaction ? null : { kind: 'heartbeat', position: end };
  }

  #insert(): StreamEvent {
    const relation = this.#knownRelation();
    this.#expect(NEW_TUPLE);
    return { kind: 'insert', relation, row: this.#tuple(relation) };
  }

  #update(): StreamEvent {
    const relation = this.#knownRelation();
    const kind = this.#byte();
    if (kind === NEW_TUPLE) return { kind: 'update', relation, row: this.#tuple(relation), before: null };
    const before = this.#oldTuple(relation, kind);
    this.#expect(NEW_TUPLE);
    const row = this.#tuple(relation);
    return { kind: 'update', relation, row: kind === OLD_ROW ? completed(row, before) : row, before };
  }

  #delete(): StreamEvent {
    const relation = this.#knownRelation();
    return { kind: 'delete', relation, before: this.#oldTuple(relation, this.#byte()) };
  }

  #truncate(): StreamEvent {
    const count = this.#uint32();
    this.#byte();
    const relations: Relation[] = [];
    for (let i = 0; i < count; i++) relations.push(this.#knownRelation());
    return { kind: 'truncate', relations };
  }

  #oldTuple(relation: Relation, kind: number): RawRow {
    const row = this.#tuple(relation);
    if (kind === OLD_ROW) return row;
    if (kind !== OLD_KEY) throw new RangeError('an old row was expected');
    // The server sends NULL for the columns that it does not send.
    return row.map((value, i) => (relation.columns[i]?.key === true ? value : undefined));
  }

  #tuple(relation: Relation): RawRow {
    const buffer = this.#buffer;
    const count = this.#uint16();
    if (count !== relation.columns.length) throw new RangeError(`${count} columns in a row of ${relation.name}`);
    const base = this.#at;
    const text = buffer.toString('utf8', base);
    const plain = text.length === buffer.length - base;
    const row: RawValue[] = [];
    let at = base;
    for (let i = 0; i < count; i++) {
      const kind = buffer[at++];
      if (kind === TEXT_VALUE) {
        const length = uint32(buffer, at);
        at += 4;
        const end = at + length;
        if (end > buffer.length) throw new RangeError('a value ends behind its message');
        row.push(plain ? text.slice(at - base, end - base) : buffer.toString('utf8', at, end));
        at = end;
      } else if (kind === NULL_VALUE) row.push(null);
      else if (kind === UNCHANGED) row.push(undefined);
      else throw new RangeError('unknown kind of value');
    }
    this.#at = at;
    return row;
  }

  #relation(): null {
    const id = this.#uint32();
    const schema = this.#string() || 'pg_catalog';
    const name = this.#string();
    const replicaIdentity = IDENTITIES[String.fromCharCode(this.#byte())];
    if (replicaIdentity === undefined) throw new RangeError('unknown replica identity');
    const columns: Column[] = [];
    const untyped: UntypedColumn[] = [];
    for (let count = this.#uint16(); count > 0; count--) {
      const key = (this.#byte() & 1) === 1;
      const column = { name: this.#string(), type: '', typeId: this.#uint32(), typeModifier: this.#uint32() | 0, key };
      const type = this.#builtIn.get(column.typeId);
      if (type === undefined) untyped.push(column);
      else column.type = type;
      columns.push(column);
    }
    const relation = { sourceId: String(id), connectionTag: this.#tag, schema, name, replicaIdentity, columns };
    // Also if it says the same: what is published of the table may be something else.
    this.untyped.push(...untyped);
    this.#relations.set(id, relation);
    return null;
  }

  #knownRelation(): Relation {
    const id = this.#uint32();
    const relation = this.#relations.get(id);
    if (relation === undefined) throw new RangeError(`relation ${id} was not described`);
    return relation;
  }

  #expect(kind: number): void {
    if (this.#byte() !== kind) throw new RangeError('a new row was expected');
  }

  #advance(bytes: number): void {
    if (this.#at + bytes > this.#buffer.length) throw new RangeError('the message is cut off');
    this.#at += bytes;
  }

  #byte(): number {
    this.#advance(1);
    return this.#buffer[this.#at - 1] as number;
  }

  #uint16(): number {
    this.#advance(2);
    return this.#buffer.readUInt16BE(this.#at - 2);
  }

  #uint32(): number {
    this.#advance(4);
    return uint32(this.#buffer, this.#at - 4);
  }

  #lsn(): Position {
    return position(this.#uint32(), this.#uint32());
  }

  #timestamp(): number {
    const high = this.#uint32() | 0;
    return Math.floor((high * TWO_32 + this.#uint32()) / 1000) + EPOCH_2000_MS;
  }

  #string(): string {
    const end = this.#buffer.indexOf(0, this.#at);
    if (end < 0) throw new RangeError('a name has no end');
    const text = this.#buffer.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }
}

/** Under identity FULL the old row has the values that the new one leaves out because they did not change. */
function completed(row: RawRow, before: RawRow): RawRow {
  return row.includes(undefined) ? row.map((value, i) => (value === undefined ? before[i] : value)) : row;
}

function uint32(buffer: Buffer, at: number): number {
  const [a, b, c, d] = [buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]];
  if (d === undefined) throw new RangeError('the message is cut off');
  return (((a as number) << 24) | ((b as number) << 16) | ((c as number) << 8) | d) >>> 0;
}

/** Copied rows of a Postgres source, as bytes: values for expressions as everywhere, plain columns from bytes to bytes. */
import { type ByteRows, ByteSpace, copyBytes, escapedLength, writeText } from '@sluice/core';
import type { JsonBytes, JsonForm, MemberBytes } from '../synced-bytes.ts';
import type { Compatibility } from '../compatibility.ts';
import { valueJson } from '../json.ts';
import type { ObjectKey, RowFormat } from '../row-format.ts';
import { idText } from '../value.ts';
import { bytesWriter } from './json-bytes.ts';
import { PostgresTypes } from './postgres.ts';
import { BYTES_WRITER_ROOM, type BytesWriter, NOT_WRITTEN, typeOptions } from './source-type.ts';

const [OPEN, CLOSE] = [0x7b, 0x7d];
const NULL = spaceOf('null');
/** Values of larger rows are looked through before room for them is made. */
const SHORT_BYTES = 4096;
const ESCAPED_BYTES_MAX = 6;

export function postgresByteFormat(compatibility: Compatibility): RowFormat<ByteRows, JsonBytes> {
  const types = new PostgresTypes(typeOptions(compatibility));
  return {
    reader: ({ column, index }) => {
      const { read } = types.type(column);
      return (rows) => {
        const raw = rows.text(index);
        return raw === null ? null : read(raw);
      };
    },
    idReader: (id) => {
      if (id === undefined) return () => '';
      if (id.column === null) return (rows) => idText(id.value(rows));
      const { column, index } = id.column;
      const type = types.type(column);
      if (type.isOwnText) return () => index;
      return (rows) => {
        const raw = rows.text(index);
        return raw === null ? '' : idText(type.read(raw));
      };
    },
    objectWriter: (keys) => {
      const object = new ObjectBytes(keys.map((key) => memberOf(key, types)));
      return () => object;
    },
  };
}

interface Member {
  /** `,"name":` */
  readonly head: ByteSpace;
  /** The column whose bytes are written; -1 for what goes by text. */
  readonly column: number;
  readonly bytes: BytesWriter;
  /** What that does; null for what goes by text. */
  readonly form: JsonForm | null;
  /** Undefined leaves the member out. */
  readonly text: (rows: ByteRows) => string | undefined;
}

function memberOf({ name, column: placed, value }: ObjectKey<ByteRows>, types: PostgresTypes): Member {
  const head = spaceOf(`,${JSON.stringify(name)}:`);
  const byText = { head, column: -1, bytes: () => NOT_WRITTEN, form: null };
  if (placed === null) return { ...byText, text: (rows) => valueJson(value(rows)) };
  const { json, bytes: form } = types.type(placed.column);
  const text = (rows: ByteRows): string | undefined => {
    const raw = rows.text(placed.index);
    return raw === null ? 'null' : json(raw);
  };
  if (form === undefined) return { ...byText, text };
  return { head, column: placed.index, bytes: bytesWriter(form), form, text };
}

/** The object of one query. One instance serves all rows: what `prepare` computes is for the row that is looked at. */
class ObjectBytes implements JsonBytes {
  readonly members: readonly MemberBytes[] | null;
  readonly #members: readonly Member[];
  readonly #fixedBytes: number;
  /** Members that go by text. */
  readonly #byText: readonly number[];
  readonly #texts: (string | undefined)[];
  /** How often one column's bytes may be written. */
  readonly #copiesMax: number;

  constructor(members: readonly Member[]) {
    this.#members = members;
    const plain = members.flatMap(({ head, column, form }) =>
      form === null ? [] : { head: head.bytes, column, form },
    );
    this.members = plain.length < members.length ? null : plain;
    this.#byText = members.flatMap(({ column }, index) => (column < 0 ? [index] : []));
    this.#copiesMax = mostOften(members.map(({ column }) => column));
    this.#texts = members.map(() => undefined);
    this.#fixedBytes = members.reduce((sum, { head }) => sum + head.bytes.length + BYTES_WRITER_ROOM, 2);
  }

  prepare(rows: ByteRows): number {
    let bytes = this.#fixedBytes;
    for (const index of this.#byText) {
      const json = (this.#texts[index] = (this.#members[index] as Member).text(rows));
      bytes += 3 * (json?.length ?? 0);
    }
    const rowBytes = rows.rowEnd - rows.rowStart;
    return (
      bytes + (rowBytes <= SHORT_BYTES ? ESCAPED_BYTES_MAX * rowBytes * this.#copiesMax : this.#escapedBytes(rows))
    );
  }

  #escapedBytes(rows: ByteRows): number {
    const first = rows.at * rows.columns;
    let bytes = 0;
    for (const { column } of this.#members) {
      const start = column < 0 ? -1 : (rows.starts[first + column] as number);
      if (start >= 0) bytes += escapedLength(rows.space, start, rows.ends[first + column] as number) + 2;
    }
    return bytes;
  }

  write(rows: ByteRows, target: ByteSpace, at: number): number {
    const members = this.#members;
    const first = rows.at * rows.columns;
    let end = at;
    for (let index = 0; index < members.length; index++) {
      const member = members[index] as Member;
      const { head, column } = member;
      const start = column < 0 ? -1 : (rows.starts[first + column] as number);
      const text = column < 0 ? this.#texts[index] : '';
      if (text === undefined) continue;
      end = copyBytes(head, 0, head.bytes.length, target, end);
      if (column < 0) end += writeText(target.bytes, text, end);
      else if (start < 0) end = copyBytes(NULL, 0, 4, target, end);
      else {
        const written = member.bytes(rows.space, start, rows.ends[first + column] as number, target, end);
        if (written === NOT_WRITTEN) end += writeText(target.bytes, member.text(rows) ?? '', end);
        else end = written;
      }
    }
    // The comma before the first member is the brace.
    if (end === at) end++;
    target.bytes[at] = OPEN;
    target.bytes[end] = CLOSE;
    return end + 1;
  }
}

function mostOften(values: readonly number[]): number {
  return Math.max(0, ...values.map((value) => values.filter((other) => other === value).length));
}

function spaceOf(text: string): ByteSpace {
  return new ByteSpace(Buffer.from(text));
}

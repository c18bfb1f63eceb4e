/** What the rows of one copied table have in common, as the program that packs them reads it (pack-rows.wat). */
import { crc32 } from 'node:zlib';
import { putHead, RECORD_KEY_BYTES_MAX } from '@sluice/core';
import { copiedRecordFrame, SLOT_HEAD_BYTES, type TableState } from '@sluice/storage';
import type { JsonBytes, JsonForm } from '@sluice/sync-rules';
import { subkeyOf } from '../rows/evaluate.ts';

/** Place of a plan in the program's memory. */
export const PLAN = 0x6000;
const PLAN_BYTES_MAX = 0xa000;
const HEAD_WORDS = 9;
/** Beside what is counted: lengths, names of elements, and what whole vectors write too much. */
const BODY_FRAME_BYTES = 64;
const SLOT_FRAME_BYTES = 64;
/** Of a value that is no text: numbers grow by two bytes, times by their fraction. */
const VALUE_ROOM = 32;
const ESCAPED_BYTES_MAX = 6;

const FORMS = ['text', 'plain', 'boolean', 'real', 'date', 'moment'] as const satisfies readonly JsonForm['kind'][];

/** An object of one query, with its place in the program's memory. */
export interface PlannedObject {
  readonly objectType: string;
  readonly idColumn: number;
  readonly json: JsonBytes;
  readonly at: number;
}

export class RowPlan {
  readonly image: Buffer = Buffer.alloc(PLAN_BYTES_MAX);
  end = 4 * HEAD_WORDS;
  readonly #objects: PlannedObject[] = [];
  readonly #subkeyBytes: number;

  constructor({ id, history, relation }: TableState, keyColumn: number) {
    const columns = relation.columns.length;
    const { head, tail } = copiedRecordFrame(history, columns);
    const subkeyHead = Buffer.from(subkeyOf(id, ''));
    this.#subkeyBytes = subkeyHead.length + RECORD_KEY_BYTES_MAX;
    const slotBytes =
      SLOT_HEAD_BYTES + RECORD_KEY_BYTES_MAX + head.length + tail.length + 5 * columns + SLOT_FRAME_BYTES;
    const texts = [head, tail, subkeyHead].flatMap((text) => [this.#put(text), text.length]);
    this.#words(0, [columns, keyColumn, ...texts, slotBytes]);
  }

  /** @returns null if the program cannot make it */
  object(objectType: string, idColumn: number, json: JsonBytes): PlannedObject | null {
    for (let at = 0; at < this.#objects.length; at++) {
      const known = this.#objects[at] as PlannedObject;
      if (known.json === json && known.objectType === objectType && known.idColumn === idColumn) return known;
    }
    return this.#add(objectType, idColumn, json);
  }

  #add(objectType: string, idColumn: number, json: JsonBytes): PlannedObject | null {
    const { members } = json;
    if (members === null) return null;
    const head = putHead(objectType);
    const type = Buffer.from(objectType);
    const names = members.reduce((sum, member) => sum + member.head.length, 0);
    const words = HEAD_WORDS + 4 * members.length;
    if (this.end + head.length + type.length + names + 4 * words + 32 > PLAN_BYTES_MAX) return null;
    const headAt = this.#put(head);
    const typeAt = this.#put(type);
    const places = members.map((member) => [
      this.#put(member.head),
      member.head.length,
      4 * member.column,
      formNumber(member.form),
    ]);
    const bodyBytes = head.length + this.#subkeyBytes + names + VALUE_ROOM * members.length + BODY_FRAME_BYTES;
    const copies = Math.max(0, ...members.map(({ column }) => members.filter((m) => m.column === column).length));
    // The id is a copy, too.
    const growth = ESCAPED_BYTES_MAX * copies + 1;
    this.end = (this.end + 3) & ~3;
    const at = PLAN + this.end;
    const object = [headAt, head.length, typeAt, type.length, crc32(head), 4 * idColumn, bodyBytes, growth];
    this.end = this.#words(this.end, [...object, members.length, ...places.flat()]);
    const planned = { objectType, idColumn, json, at };
    this.#objects.push(planned);
    return planned;
  }

  #put(text: Uint8Array): number {
    const at = this.end;
    this.image.set(text, at);
    this.end += text.length;
    return PLAN + at;
  }

  #words(at: number, values: readonly number[]): number {
    let end = at;
    for (const value of values) end = this.image.writeInt32LE(value | 0, end);
    return end;
  }
}

function formNumber(form: JsonForm): number {
  const kind = FORMS.indexOf(form.kind);
  if (form.kind !== 'moment') return kind;
  const zone = form.zone === '' ? 0 : form.zone.charCodeAt(0);
  return kind | (zone << 8) | (form.iso ? 1 << 16 : 0) | (form.digits << 24);
}

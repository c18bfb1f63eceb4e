/**
 * Evaluates copied rows and packs many of them in one call (row-program.ts). Evaluation says of each row which buckets it is in,
 * as what; rows whose objects are just columns are noted, and packed together. A row that needs anything else goes to
 * `RowPacker`, as does one with a value that the program does not know.
 */
import type { ByteRows } from '@sluice/core';
import type { PackedRows } from '@sluice/storage';
import type { JsonBytes, ObjectId, RowSink } from '@sluice/sync-rules';
import type { TableBinding } from '../tables/table-binding.ts';
import { RowNotes } from './row-notes.ts';
import { RowPacker } from './row-packer.ts';
import { type PlannedObject, RowPlan } from './row-plan.ts';
import { BODIES, type RowProgram, SLOTS } from './row-program.ts';

export class BatchPacker implements RowSink<JsonBytes> {
  readonly binding: TableBinding;
  readonly #isShown: boolean;
  readonly #program: RowProgram;
  readonly #plan: RowPlan;
  readonly #single: RowPacker;
  /** What is to be packed. */
  readonly #notes = new RowNotes();
  /** Of the rows that are added, and the first of them that the program has. */
  #rows: ByteRows | null = null;
  #loaded = 0;
  /** Whether the row that is evaluated goes to `RowPacker`. */
  #isSingle = false;
  /** Whether rows may be packed together at all: an object that is computed for one row is so for all of its table. */
  #isPlain = true;

  constructor(binding: TableBinding, keyColumn: number, program: RowProgram) {
    this.binding = binding;
    this.#isShown = binding.table.visibility !== 'staged';
    this.#program = program;
    this.#plan = new RowPlan(binding.table, keyColumn);
    this.#single = new RowPacker(binding);
  }

  get flushed(): PackedRows {
    return this.#single.flushed;
  }

  get count(): number {
    return this.flushed.count;
  }

  release(): void {
    this.#single.release();
  }

  add(rows: ByteRows, from: number, to: number): void {
    let at = from;
    while (at < to) {
      const end = this.#isPlain ? this.#program.load(rows, at, to) : at;
      if (end > at) this.#addLoaded(rows, at, end);
      else this.#single.add(rows, at, at + 1);
      at = Math.max(end, at + 1);
    }
  }

  #addLoaded(rows: ByteRows, from: number, to: number): void {
    const notes = this.#notes;
    this.#rows = rows;
    this.#loaded = from;
    notes.begin(from);
    for (let at = from; at < to; at++) {
      rows.at = at;
      this.#isSingle = false;
      notes.addRow(this.#program.noteRow());
      if (this.#isShown) this.binding.copyEvaluator.evaluate(rows, this);
      if (!this.#isSingle) continue;
      this.#single.end();
      notes.begin(at + 1);
    }
    this.#pack(rows, notes.count);
  }

  data(bucket: string, objectType: string, id: ObjectId<JsonBytes>, json: JsonBytes): void {
    if (!this.#isSingle && this.#note(bucket, objectType, id, json)) return;
    this.#toSingle().data(bucket, objectType, id, json);
  }

  lookup(key: string, value: string): void {
    this.#toSingle().lookup(key, value);
  }

  error(definition: string, message: string): void {
    this.binding.reportRowError(definition, message);
  }

  /** @returns false for what the program cannot pack */
  #note(bucket: string, objectType: string, id: ObjectId<JsonBytes>, json: JsonBytes): boolean {
    const notes = this.#notes;
    const object = typeof id === 'number' ? this.#plan.object(objectType, id, json) : null;
    if (object === null) {
      this.#isPlain = false;
      return false;
    }
    const row = notes.count - 1;
    for (let op = notes.firstOp(row); op < notes.buckets.length; op++) {
      // Perhaps the same object once more.
      if (notes.buckets[op] === bucket && notes.objects[op]?.objectType === objectType) return false;
    }
    if (!this.#program.noteOp(notes.outline(row), bucket, object)) return false;
    notes.addOp(bucket, object);
    return true;
  }

  /** Where the row that is evaluated goes if it cannot be packed with others: what was noted of it, too. */
  #toSingle(): RowPacker {
    const rows = this.#rows as ByteRows;
    if (this.#isSingle) return this.#single;
    this.#isSingle = true;
    const { at } = rows;
    const row = this.#notes.count - 1;
    this.#pack(rows, row);
    rows.at = at;
    this.#begin(rows, row);
    return this.#single;
  }

  /** Packs the first `count` of the noted rows. */
  #pack(rows: ByteRows, count: number): void {
    const notes = this.#notes;
    let done = 0;
    while (done < count) {
      const at = notes.first + done;
      const place = { index: at - this.#loaded, outline: notes.outline(done), from: rows.startOf(at) };
      const packed = this.#program.pack(this.#plan, place, count - done);
      if (packed > 0) this.#take(done, packed);
      else {
        rows.at = at;
        this.#begin(rows, done);
        this.#single.end();
      }
      done += Math.max(1, packed);
    }
  }

  /** What is noted of the row that is looked at goes to `RowPacker`. */
  #begin(rows: ByteRows, row: number): void {
    const notes = this.#notes;
    this.#single.begin(rows);
    for (let op = notes.firstOp(row); op < notes.firstOp(row + 1); op++) {
      const { objectType, idColumn, json } = notes.objects[op] as PlannedObject;
      this.#single.data(notes.buckets[op] as string, objectType, idColumn, json);
    }
  }

  #take(row: number, count: number): void {
    const [notes, program, packed] = [this.#notes, this.#program, this.flushed];
    const { ops, records } = this.#single;
    const { bytes, slotEnds, bodyEnds, checksums } = program;
    const [firstOp, lastOp] = [notes.firstOp(row), notes.firstOp(row + count)];
    const opCount = lastOp - firstOp;
    if (opCount > 0) {
      const moved = ops.append(bytes, BODIES, bodyEnds[opCount - 1] as number) - BODIES;
      const bodies = { space: ops.space, count: opCount, from: BODIES, ends: bodyEnds, moved };
      packed.addOps(bodies, checksums, notes.buckets, firstOp);
    }
    const moved = records.append(bytes, SLOTS, slotEnds[count - 1] as number) - SLOTS;
    const slots = { space: records.space, count, from: SLOTS, ends: slotEnds, moved };
    packed.endRows(slots, (each) => lastOp - notes.firstOp(row + each + 1));
  }
}

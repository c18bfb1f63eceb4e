/** What copies, in memory: by itself, or as a part of the stream's writer. */
import { invariant, type OpId } from '@sluice/core';
import { advance } from '../checkpoint-state.ts';
import type { ComparedRows, CopyWriter, SnapshotFlush } from '../copy-writer.ts';
import type { FlushResult } from '../flush-result.ts';
import { PackedRows } from '../packed-rows.ts';
import type { RowWrite } from '../row-write.ts';
import {
  guardHolds,
  mayWrite,
  taskAfter,
  taskClaimed,
  type TableState,
  type TaskRef,
  type TaskSplit,
  taskSplit,
  type TaskState,
} from '../table-state.ts';
import { MemoryRows } from './memory-rows.ts';
import type { MemoryStream } from './memory-stream.ts';

export class MemoryCopyWriter implements CopyWriter {
  readonly claimant: string;
  readonly #stream: MemoryStream;
  readonly #rows: MemoryRows;
  readonly #assertHeld: () => void;

  /** @param assertHeld throws if the right to write is lost */
  constructor(stream: MemoryStream, claimant: string, assertHeld: () => void) {
    this.#stream = stream;
    this.#rows = new MemoryRows(stream);
    this.claimant = claimant;
    this.#assertHeld = assertHeld;
    stream.claimants.add(claimant);
  }

  async claimTask({ tableId, generation, index }: TaskRef): Promise<TaskState | null> {
    this.#assertHeld();
    const { claimants, tables } = this.#stream;
    const { claimant } = this;
    const found = { table: tables.get(tableId), task: this.#task(tableId, index) };
    const task = taskClaimed(found, { generation, claimant, isAlive: (other) => claimants.has(other) });
    if (task !== null) this.#put(task);
    return task;
  }

  async releaseTask({ tableId, index }: TaskRef): Promise<void> {
    this.#assertHeld();
    const task = this.#task(tableId, index);
    if (task?.claimedBy === this.claimant) this.#put({ ...task, claimedBy: null });
  }

  async flushSnapshot<W extends RowWrite>({ rows, guard, progress }: SnapshotFlush<W>): Promise<FlushResult> {
    this.#assertHeld();
    const table = this.#stream.tables.get(guard.tableId);
    const task = this.#task(guard.tableId, progress.index);
    if (table === undefined || task === undefined || !guardHolds(guard, table) || !mayWrite(task, this.claimant))
      return { kind: 'discarded' };
    const before = this.#stream.state.headOp;
    let head = before;
    this.#rows.allOrNothing(() => {
      head = rows instanceof PackedRows ? this.#insert(rows, table, head) : this.#compare(rows, table, head);
    });
    this.#put(taskAfter(task, progress));
    this.#stream.state = advance(this.#stream.state, { kind: 'flushed', headOp: head, boundary: null });
    return { kind: 'flushed', headOp: head, ops: head - before };
  }

  /** @returns the new head */
  #insert(rows: PackedRows, table: TableState, head: OpId): OpId {
    invariant(!table.unconfirmed, 'snapshot flush: rows of an unconfirmed table must be compared');
    const stored = this.#rows.of(table.id);
    let newHead = head;
    for (let at = 0; at < rows.count; at++) {
      const key = rows.key(at);
      if (!stored.has(key)) newHead = this.#rows.apply(table, key, rows.effect(at), newHead);
    }
    return newHead;
  }

  /** @returns the new head */
  #compare<W extends RowWrite>({ writes, evaluate }: ComparedRows<W>, table: TableState, head: OpId): OpId {
    let newHead = head;
    for (const write of writes) {
      const stored = this.#rows.of(table.id).get(write.key);
      if (stored?.kind === 'tombstone') continue;
      const effect = evaluate(write, stored?.bytes ?? null, null, table);
      if (effect !== null) newHead = this.#rows.apply(table, write.key, effect, newHead);
    }
    return newHead;
  }

  async splitTask(split: TaskSplit): Promise<boolean> {
    this.#assertHeld();
    const tasks = this.#stream.tasks.filter((task) => task.tableId === split.tableId);
    const parts = taskSplit(this.#stream.tables.get(split.tableId), tasks, split);
    for (const part of parts ?? []) this.#put(part);
    return parts !== null;
  }

  async close(): Promise<void> {
    this.#stream.claimants.delete(this.claimant);
  }

  #task(tableId: number, index: number): TaskState | undefined {
    return this.#stream.tasks.find((task) => task.tableId === tableId && task.index === index);
  }

  #put(task: TaskState): void {
    const others = this.#stream.tasks.filter(({ tableId, index }) => tableId !== task.tableId || index !== task.index);
    this.#stream.tasks = [...others, task];
  }
}

/** What an adapter brings to the suite, and the small world each test plays in. */
import { type Checkpoint, invariant, type OpId, type Position, type Relation, type TableId } from '@sluice/core';
import type { BucketChunk, BucketStorage, StreamInfo, StreamReader } from '../bucket-storage.ts';
import type { CopyWriter } from '../copy-writer.ts';
import { eachOp } from '../op-run.ts';
import { PackedRows } from '../packed-rows.ts';
import type { JsonValue, TableState } from '../table-state.ts';
import type { FlushResult } from '../flush-result.ts';
import type { PublishedRows, StreamWriter } from '../writer.ts';
import {
  compareToyRow,
  eraseToyRow,
  evaluateToyRow,
  publishToyRow,
  reduceOps,
  sweepToyRow,
  type ToyWrite,
} from './toy-rows.ts';

export interface OpenedStorage {
  readonly storage: BucketStorage;
  /** What a new process finds after the old one died without a word. The old storage is not used again. */
  reopen(): Promise<OpenedStorage>;
  cleanup(): Promise<void>;
  /** Of a storage that is disturbed: whether that happened often enough by now to say anything. */
  wasDisturbed?(): boolean;
}

export type OpenStorage = () => Promise<OpenedStorage>;

export const PLAN = { hash: 'of the plan', strategy: 'toy' };

export const OWNER = 'conformance';

export function relationOf(name: string): Relation {
  return { sourceId: name, connectionTag: 'default', schema: 'public', name, replicaIdentity: 'default', columns: [] };
}

/** Positions that order as numbers do. */
export function at(position: number): Position {
  return position.toString(16).padStart(16, '0');
}

interface ToyProgress {
  readonly index?: number;
  readonly done?: boolean;
  readonly cursor?: string;
}

/** One stream with its writer and reader, and shorthand for what nearly every test does. */
export class World {
  storage: BucketStorage;
  stream: StreamInfo;
  writer: StreamWriter;
  reader: StreamReader;
  #opened: OpenedStorage;

  private constructor(opened: OpenedStorage, stream: StreamInfo, writer: StreamWriter) {
    this.#opened = opened;
    this.storage = opened.storage;
    this.stream = stream;
    this.writer = writer;
    this.reader = opened.storage.reader(stream.id);
  }

  static async open(open: OpenStorage): Promise<World> {
    const opened = await open();
    const stream = await opened.storage.createStream('rules', 1);
    return new World(opened, stream, await opened.storage.openWriter(stream.id, OWNER));
  }

  /** The process dies; another one opens the storage and takes over the stream. */
  async crash(): Promise<void> {
    this.#opened = await this.#opened.reopen();
    this.storage = this.#opened.storage;
    this.writer = await this.storage.openWriter(this.stream.id, OWNER);
    this.reader = this.storage.reader(this.stream.id);
  }

  async close(): Promise<void> {
    await this.#opened.cleanup();
  }

  /** A table that waits for its copy, planned as one task. */
  async pendingTable(name = 'todos', tasks = 1): Promise<TableState> {
    const table = await this.writer.addTable(relationOf(name), [0]);
    await this.plan(table.id, tasks);
    return table;
  }

  /** A table that came beside a checkpoint, its copy of nothing ended at `position`. */
  async stagedTable(name: string, position: number): Promise<TableState> {
    const table = await this.writer.addTable(relationOf(name), [0], 'staged');
    await this.plan(table.id);
    await this.chunk(table, [], { done: true });
    await this.writer.markTableSnapshotDone(table.id, table.generation, at(position));
    return table;
  }

  async publish(tableId: TableId, limit = 1000, after: JsonValue | null = null): Promise<PublishedRows> {
    return this.writer.publishRows({ tableId, after, limit, publish: publishToyRow });
  }

  async plan(table: TableId, tasks = 1): Promise<void> {
    const planned = Array.from({ length: tasks }, (_, index) => ({
      index,
      range: [index],
      rowsEstimate: 10,
      bytesEstimate: 100,
    }));
    const found = (await this.reader.tables()).find(({ id }) => id === table);
    await this.writer.planTable(found ?? { id: table, generation: 1 }, PLAN, planned);
  }

  /** A table whose copy, of nothing, ended at `position`, with the snapshot gate opened there. */
  async copiedTable(name = 'todos', position = 1): Promise<TableState> {
    const table = await this.pendingTable(name);
    await this.finishCopy(table, position);
    return table;
  }

  finishCopy(table: TableState, position: number): Promise<void> {
    return this.finishCopyBy(this.writer, table, position);
  }

  async finishCopyBy(copier: CopyWriter, table: TableState, position: number): Promise<void> {
    await this.chunkBy(copier, table, [], { done: true });
    if (table.unconfirmed) await this.sweep(table);
    await this.writer.markTableSnapshotDone(table.id, table.generation, at(position));
    await this.writer.markAllSnapshotDone(at(position));
  }

  async flush(boundary: number, ...writes: readonly ToyWrite[]): Promise<FlushResult> {
    return this.writer.flush({ writes, evaluate: evaluateToyRow, boundary: at(boundary) });
  }

  chunk(table: TableState, writes: readonly ToyWrite[], progress: ToyProgress = {}): Promise<FlushResult> {
    return this.chunkBy(this.writer, table, writes, progress);
  }

  /** Claims the task before, if it can be had. */
  async chunkBy(
    writer: CopyWriter,
    table: TableState,
    writes: readonly ToyWrite[],
    progress: ToyProgress = {},
  ): Promise<FlushResult> {
    const index = progress.index ?? 0;
    await writer.claimTask({ tableId: table.id, generation: table.generation, index });
    const evaluated = writes.map((write) => ({ key: write.key, effect: evaluateToyRow(write, null, null, table) }));
    const packed = PackedRows.of(table.id, evaluated);
    const result = await writer.flushSnapshot({
      rows: table.unconfirmed ? { writes, evaluate: compareToyRow } : packed,
      guard: { tableId: table.id, generation: table.generation, truncateEpoch: table.truncateEpoch },
      progress: {
        index,
        cursor: progress.cursor ?? null,
        rows: writes.length,
        bytes: writes.length * 10,
        done: progress.done ?? false,
      },
    });
    // What was packed is written over once it is flushed: its memory is used for other rows.
    for (const { bytes } of [...packed.slots.spaces, ...packed.bodies.spaces]) bytes.fill(0xff);
    return result;
  }

  /** The stream cannot go on where it stood. @returns the table as it is then */
  async loseHistory(): Promise<readonly TableState[]> {
    while ((await this.writer.dropTombstones(2)).remaining);
    await this.writer.beginHistory({ slot: 'next' });
    return this.reader.tables();
  }

  /** To the end, in parts. @returns how many rows ended; null if the table was not ready for it */
  async sweep({ id, generation }: TableState, limit = 2): Promise<number | null> {
    let after: JsonValue | null = null;
    let erased = 0;
    do {
      const result = await this.writer.sweepRows({ tableId: id, generation, after, limit, sweep: sweepToyRow });
      if (result.kind === 'discarded') return null;
      after = result.next;
      erased += result.erased;
    } while (after !== null);
    return erased;
  }

  async erase(table: TableId, boundary: number, limit = 1000) {
    return this.writer.eraseRows({ tableId: table, boundary: at(boundary), limit, erase: eraseToyRow });
  }

  /** Flush and commit at one position. */
  async transaction(position: number, ...writes: readonly ToyWrite[]): Promise<Checkpoint> {
    await this.flush(position, ...writes);
    return this.committed(position);
  }

  /** A commit that must make a checkpoint. */
  async committed(position: number): Promise<Checkpoint> {
    const outcome = await this.writer.commit(at(position), { createEmpty: true });
    invariant(outcome.kind === 'created', `the commit at ${position} was ${JSON.stringify(outcome)}`);
    return outcome.checkpoint;
  }

  async checkpoint(): Promise<Checkpoint> {
    const checkpoint = await this.reader.checkpoint();
    invariant(checkpoint !== null, 'there is no checkpoint');
    return checkpoint;
  }

  /** What a client that synced everything holds: object id → data. */
  async rows(bucket: string, checkpoint?: OpId): Promise<Record<string, string>> {
    const upTo = checkpoint ?? (await this.checkpoint()).opId;
    return reduceOps(await this.bodies(bucket, upTo));
  }

  async bodies(bucket: string, checkpoint: OpId, after = 0): Promise<Uint8Array[]> {
    const chunks = await this.reader.readOps(checkpoint, [{ bucket, after }], { ops: 1e6, bytes: 1e9 });
    return chunks.flatMap(bodiesOf);
  }
}

export function opIdsOf({ slices }: BucketChunk): OpId[] {
  return [...eachOp(slices)].map(({ opId }) => opId);
}

export function bodiesOf({ slices }: BucketChunk): Uint8Array[] {
  return [...eachOp(slices)].map(({ body }) => body);
}

/** Copied chunks of any tables, written in one transaction: what it reads behind the stream's lock, and what it writes. */
import type { RecordKey } from '@sluice/core';
import {
  advance,
  type FlushResult,
  guardHolds,
  mayWrite,
  type RowWrite,
  type SnapshotFlush,
  type TableState,
  taskAfter,
  type TaskState,
} from '@sluice/storage';
import { append } from '../append.ts';
import { Assembly } from '../assembly.ts';
import type { Names } from '../names.ts';
import type { Done } from '../fencing/session.ts';
import type { SnapshotRows } from './snapshot-rows.ts';
import type { Sql } from '../sql.ts';
import { type BucketNumbers, bucketNumbers } from '../sql/append-ops.ts';
import type { SourceTables } from '../sql/tables.ts';
import type { Within } from '../table-work.ts';

export interface Chunk extends Pick<SnapshotFlush<RowWrite>, 'guard' | 'progress'> {
  readonly rows: SnapshotRows;
}

interface FoundChunk {
  readonly chunk: Chunk;
  readonly table: TableState | undefined;
  readonly task: TaskState | undefined;
  readonly known: ReadonlySet<RecordKey>;
}

export interface FoundChunks {
  readonly chunks: readonly FoundChunk[];
  readonly numbers: BucketNumbers;
}

/** Travels with the lock. */
export async function findChunks(
  sql: Sql,
  own: ReturnType<Names['of']>,
  tables: SourceTables,
  chunks: readonly Chunk[],
): Promise<FoundChunks> {
  const buckets = new Set(chunks.flatMap(({ rows }) => [...rows.buckets]));
  const finding = chunks.map(async (chunk): Promise<FoundChunk> => {
    const { guard, progress, rows } = chunk;
    const [table, task, known] = await Promise.all([
      tables.get(guard.tableId),
      tables.task(guard.tableId, progress.index),
      rows.known(sql, own),
    ]);
    return { chunk, table, task, known };
  });
  const [numbers, ...found] = await Promise.all([bucketNumbers(sql, own.buckets, buckets), ...finding]);
  return { chunks: found, numbers };
}

export interface Writing {
  readonly claimant: string;
  readonly onWritten: () => void;
}

/** @returns a result for each chunk */
export async function writeChunks(
  { sql, row, own, tables }: Within,
  { chunks, numbers }: FoundChunks,
  { claimant, onWritten }: Writing,
): Promise<Done<readonly FlushResult[]>> {
  const assembly = new Assembly();
  const written: SnapshotRows[] = [];
  const tasks = new Map<string, TaskState>();
  const results: FlushResult[] = [];
  for (const { chunk, table, task, known } of chunks) {
    const { guard, progress, rows } = chunk;
    const place = `${guard.tableId} ${progress.index}`;
    const before = tasks.get(place) ?? task;
    if (before === undefined || !guardHolds(guard, table) || !mayWrite(before, claimant)) {
      results.push({ kind: 'discarded' });
      continue;
    }
    tasks.set(place, taskAfter(before, progress));
    const part = rows.write(sql, own.records, known, written);
    written.push(rows);
    onWritten();
    assembly.append(part);
    results.push({ kind: 'flushed', headOp: row.state.headOp + assembly.ordinals, ops: part.ordinals });
  }
  if (tasks.size === 0) return { value: results };
  const { headOp, counters } = await append(sql, own, row, { assembly, numbers });
  tables.putTasks([...tasks.values()]);
  return { value: results, next: { state: advance(row.state, { kind: 'flushed', headOp, boundary: null }), counters } };
}

/**
 * Reads one task to its end: chunk after chunk, each flushed with the task's cursor in one storage transaction. One
 * flush is under way while the next chunk is read. A chunk read under an older state of its table is discarded there;
 * then the task starts over from what is stored.
 */
import { type Clock, limits, type Logger, recordKey, SluiceError } from '@sluice/core';
import type { StreamReader, StreamWriter, TableState, TaskState } from '@sluice/storage';
import type { ByteBudget } from './byte-budget.ts';
import type { ChangeSource, TaskChunk } from './change-source.ts';
import { evaluate } from './evaluate.ts';
import type { SnapshotProgress } from './progress.ts';
import type { UpsertWrite } from './row-write.ts';
import type { TableBinding } from './table-binding.ts';
import type { TableCatalog } from './table-catalog.ts';

export interface SnapshotTaskPorts {
  readonly source: ChangeSource;
  readonly reader: StreamReader;
  readonly writer: StreamWriter;
  readonly catalog: TableCatalog;
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly progress: SnapshotProgress;
}

interface SnapshotTask {
  readonly table: TableState;
  readonly task: TaskState;
  readonly signal: AbortSignal;
}

/** Resolves with `done`, or with `again` if the stored state has moved on and must be looked at anew. */
export async function runSnapshotTask(
  ports: SnapshotTaskPorts,
  { table, task, signal }: SnapshotTask,
): Promise<'done' | 'again'> {
  const chunkBytes = limits.snapshotFlushBytesMax;
  const binding = ports.catalog.bindingFor(table);
  const chunks = ports.source
    .readTask({ relation: table.relation, range: task.range, cursor: task.cursor, chunkBytes, signal })
    [Symbol.asyncIterator]();
  let flushing: Promise<'flushed' | 'discarded'> = Promise.resolve('flushed');
  try {
    for (;;) {
      const chunk = await readChunk(ports, chunks, chunkBytes, signal);
      if (chunk === null) return 'again';
      if ((await flushing) === 'discarded') {
        ports.budget.give(chunkBytes);
        return 'again';
      }
      flushing = flushChunk({ ports, table, task, binding, chunk }).finally(() => ports.budget.give(chunkBytes));
      flushing.catch(() => {}); // Awaited at the next turn; without this a failure while reading would count as unhandled.
      if (chunk.last) return (await flushing) === 'flushed' ? 'done' : 'again';
    }
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'SLU_T1205') throw error;
    await startOver(ports, table);
    return 'again';
  } finally {
    await Promise.allSettled([flushing, chunks.return?.()]);
  }
}

/** The table was rewritten, so that its ranges mean other rows now. Several of its tasks may find out at once. */
async function startOver(ports: SnapshotTaskPorts, table: TableState): Promise<void> {
  const now = (await ports.reader.tables()).find((candidate) => candidate.id === table.id);
  if (now?.generation !== table.generation) return;
  ports.logger.info({ table: table.relation.name }, 'the table was rewritten: its copy starts over');
  await ports.writer.markTableSnapshotRequired(table.id);
}

async function readChunk(
  ports: SnapshotTaskPorts,
  chunks: AsyncIterator<TaskChunk>,
  chunkBytes: number,
  signal: AbortSignal,
): Promise<TaskChunk | null> {
  const { clock, progress, budget } = ports;
  const startedAt = clock.monotonic();
  await budget.take(chunkBytes, signal);
  const grantedAt = clock.monotonic();
  progress.waitMs += grantedAt - startedAt;
  try {
    const next = await chunks.next();
    progress.readMs += clock.monotonic() - grantedAt;
    if (next.done !== true) return next.value;
  } catch (error) {
    budget.give(chunkBytes);
    throw error;
  }
  budget.give(chunkBytes);
  return null;
}

interface ChunkFlush {
  readonly ports: SnapshotTaskPorts;
  readonly table: TableState;
  readonly task: TaskState;
  readonly binding: TableBinding;
  readonly chunk: TaskChunk;
}

async function flushChunk({ ports, table, task, binding, chunk }: ChunkFlush): Promise<'flushed' | 'discarded'> {
  const { writer, progress, clock } = ports;
  const tableId = table.id;
  const writes = chunk.rows.map(
    (row): UpsertWrite => ({
      kind: 'upsert',
      binding,
      tableId,
      key: recordKey(row, binding.keyColumns),
      row,
      boundary: null,
      replayed: false,
    }),
  );
  const startedAt = clock.monotonic();
  const result = await writer.flushSnapshot({
    writes,
    evaluate,
    guard: { tableId, generation: table.generation, truncateEpoch: table.truncateEpoch },
    progress: { index: task.index, cursor: chunk.cursor, rows: writes.length, bytes: chunk.bytes, done: chunk.last },
  });
  progress.flushMs += clock.monotonic() - startedAt;
  if (result.kind === 'discarded') {
    progress.discardedChunks++;
    return 'discarded';
  }
  progress.chunks++;
  progress.rows += writes.length;
  progress.bytes += chunk.bytes;
  progress.ops += result.ops;
  progress.rowsByTable.set(tableId, (progress.rowsByTable.get(tableId) ?? 0) + writes.length);
  return 'flushed';
}

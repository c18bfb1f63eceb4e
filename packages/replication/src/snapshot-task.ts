/**
 * Reads one task to its end. Rows are evaluated as they arrive, so that they die young, and gathered to flushes; each is
 * one storage transaction with the task's cursor, and one is under way while the next is gathered. A flush of rows that
 * were read under an older state of their table is discarded there; then the task starts over from what is stored.
 */
import { type Clock, limits, type Logger, nextTurn, type RawRow, recordKey, SluiceError } from '@sluice/core';
import type {
  Effect,
  Evaluate,
  JsonValue,
  RowWrite,
  StreamReader,
  StreamWriter,
  TableState,
  TaskState,
} from '@sluice/storage';
import type { ByteBudget } from './byte-budget.ts';
import type { ChangeSource, TaskChunk } from './change-source.ts';
import { evaluate } from './evaluate.ts';
import type { SnapshotProgress } from './progress.ts';
import type { TableBinding } from './table-binding.ts';
import type { TableCatalog } from './table-catalog.ts';

const TURN_MS = 5;
const ROWS_BETWEEN_LOOKS = 64;

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
  const { snapshotChunkBytes: chunkBytes, snapshotFlushBytesMax: flushBytes } = limits;
  const binding = ports.catalog.bindingFor(table);
  const chunks = ports.source
    .readTask({ relation: table.relation, range: task.range, cursor: task.cursor, chunkBytes, signal })
    [Symbol.asyncIterator]();
  let flushing: Promise<'flushed' | 'discarded'> = Promise.resolve('flushed');
  try {
    for (;;) {
      const gathered = await gather(ports, { chunks, binding, flushBytes, signal });
      if (gathered === null) return 'again';
      if ((await flushing) === 'discarded') {
        ports.budget.give(flushBytes);
        return 'again';
      }
      flushing = flushRows(ports, { table, task, gathered }).finally(() => ports.budget.give(flushBytes));
      flushing.catch(() => {}); // Awaited at the next turn; without this a failure while reading would count as unhandled.
      if (gathered.last) return (await flushing) === 'flushed' ? 'done' : 'again';
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

/** A copied row with what it amounts to: its evaluation needs no prior record, since it is written only if there is none. */
interface CopiedRow extends RowWrite {
  readonly effect: Effect | null;
}

const evaluated: Evaluate<CopiedRow> = (row) => row.effect;

interface Gathered {
  readonly rows: CopiedRow[];
  bytes: number;
  cursor: JsonValue;
  last: boolean;
}

interface Gathering {
  readonly chunks: AsyncIterator<TaskChunk>;
  readonly binding: TableBinding;
  readonly flushBytes: number;
  readonly signal: AbortSignal;
}

/** Takes `flushBytes` from the budget, which the caller gives back; null (and nothing taken) if the reading ended early. */
async function gather(ports: SnapshotTaskPorts, gathering: Gathering): Promise<Gathered | null> {
  const { clock, progress, budget } = ports;
  const { chunks, binding, flushBytes, signal } = gathering;
  const startedAt = clock.monotonic();
  await budget.take(flushBytes, signal);
  const grantedAt = clock.monotonic();
  progress.waitMs += grantedAt - startedAt;
  const gathered: Gathered = { rows: [], bytes: 0, cursor: null, last: false };
  try {
    while (gathered.bytes < flushBytes && !gathered.last) {
      const next = await chunks.next();
      if (next.done === true) {
        budget.give(flushBytes);
        return null;
      }
      await evaluateInTurns(clock, next.value.rows, (row) => gathered.rows.push(copiedRow(binding, row)));
      gathered.bytes += next.value.bytes;
      gathered.cursor = next.value.cursor;
      gathered.last = next.value.last;
    }
  } catch (error) {
    budget.give(flushBytes);
    throw error;
  }
  progress.readMs += clock.monotonic() - grantedAt;
  return gathered;
}

/** In short turns: the stream's changes and its acknowledgements must not wait for whole chunks of every task. */
async function evaluateInTurns(clock: Clock, rows: readonly RawRow[], take: (row: RawRow) => void): Promise<void> {
  let until = clock.monotonic() + TURN_MS;
  for (const [index, row] of rows.entries()) {
    take(row);
    if (index % ROWS_BETWEEN_LOOKS !== 0 || clock.monotonic() < until) continue;
    await nextTurn();
    until = clock.monotonic() + TURN_MS;
  }
}

function copiedRow(binding: TableBinding, row: RawRow): CopiedRow {
  const { table, keyColumns } = binding;
  const tableId = table.id;
  const key = recordKey(row, keyColumns);
  const upsert = { kind: 'upsert', binding, tableId, key, row, boundary: null, replayed: false } as const;
  return { tableId, key, effect: evaluate(upsert, null, null, table) };
}

interface RowsFlush {
  readonly table: TableState;
  readonly task: TaskState;
  readonly gathered: Gathered;
}

async function flushRows(
  ports: SnapshotTaskPorts,
  { table, task, gathered }: RowsFlush,
): Promise<'flushed' | 'discarded'> {
  const { writer, progress, clock } = ports;
  const { rows, bytes, cursor, last } = gathered;
  const tableId = table.id;
  const startedAt = clock.monotonic();
  const result = await writer.flushSnapshot({
    writes: rows,
    evaluate: evaluated,
    guard: { tableId, generation: table.generation, truncateEpoch: table.truncateEpoch },
    progress: { index: task.index, cursor, rows: rows.length, bytes, done: last },
  });
  progress.flushMs += clock.monotonic() - startedAt;
  if (result.kind === 'discarded') {
    progress.discardedChunks++;
    return 'discarded';
  }
  progress.chunks++;
  progress.rows += rows.length;
  progress.bytes += bytes;
  progress.ops += result.ops;
  progress.rowsByTable.set(tableId, (progress.rowsByTable.get(tableId) ?? 0) + rows.length);
  return 'flushed';
}

/**
 * Reads one task to its end. Rows are evaluated as they arrive, so that they die young, and gathered to halves of a chunk;
 * each is one storage transaction with the task's cursor, and one is under way while the next is gathered. A flush of rows that
 * were read under an older state of their table is discarded there; then the task starts over from what is stored.
 */
import { type ByteRows, type Clock, nextSlice, SluiceError } from '@sluice/core';
import type { CopyWriter, JsonValue, TableState, TaskState } from '@sluice/storage';
import type { ByteBudget } from '../byte-budget.ts';
import type { ChangeSource, TaskChunk } from '../change-source.ts';
import { type CopiedRows, copiedRows } from './copied-rows.ts';
import { ChunkSize } from './chunk-size.ts';
import { Forecast } from './forecast.ts';
import type { Pace } from './pace.ts';
import { ReadFailure } from './task-failure.ts';
import type { RunSignals } from './task-runs.ts';
import type { CopyProgress, TaskMeter } from './copy-progress.ts';
import type { TableBinding } from '../tables/table-binding.ts';

const TURN_MS = 5;
const ROWS_BETWEEN_LOOKS = 128;

/** What is known of the tables that are copied. */
export interface CopiedTables {
  bindingFor(table: TableState): TableBinding;
  /** Its ranges mean other rows now. Several of its tasks may find out at once. */
  rewritten(table: TableState): Promise<void>;
}

export interface SnapshotTaskPorts {
  readonly source: ChangeSource;
  readonly writer: CopyWriter;
  readonly tables: CopiedTables;
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly progress: CopyProgress;
  readonly pace: Pace;
}

interface SnapshotTask extends RunSignals {
  readonly table: TableState;
  readonly task: TaskState;
}

/**
 * Resolves with `done`, or with `again` if it was stopped, or the stored state has moved on and must be looked at anew.
 * @throws ReadFailure if the source, or a row of it, is the reason
 */
export async function runSnapshotTask(
  ports: SnapshotTaskPorts,
  { table, task, stop, signal }: SnapshotTask,
): Promise<'done' | 'again'> {
  const { clock, pace } = ports;
  const binding = ports.tables.bindingFor(table);
  const meter = ports.progress.startTask(table.id, task.index);
  const size = new ChunkSize();
  const forecast = new Forecast(task);
  const ending = AbortSignal.any([signal, stop]);
  const chunks = ports.source
    .readTask({
      relation: table.relation,
      range: task.range,
      cursor: task.cursor,
      get chunkBytes() {
        return size.readBytes;
      },
      signal,
    })
    [Symbol.asyncIterator]();
  let flushing: Promise<'flushed' | 'discarded'> = Promise.resolve('flushed');
  let chunkMs = 0;
  try {
    for (;;) {
      meter.enter('wait');
      const askedAt = clock.monotonic();
      const expected = forecast.of(size.expectedBytes);
      await unlessStopped(pace.ready(expected, chunkMs, ending), stop);
      signal.throwIfAborted();
      if (stop.aborted) return 'again';
      const startedAt = clock.monotonic();
      const { halfBytes, fullBytes } = size;
      const gathered = await gather(ports, { chunks, binding, halfBytes, fullBytes, meter, signal });
      if (gathered === null) return 'again';
      const read = { rows: gathered.rows.count, bytes: gathered.bytes };
      pace.settle(expected, read);
      forecast.saw(read);
      size.took(clock.monotonic() - askedAt);
      meter.enter('flush');
      const before = flushing;
      // Whatever becomes of the half before it, this one is given back.
      flushing = flushBehind(before, ports, { table, task, gathered, meter }).finally(() =>
        ports.budget.give(halfBytes),
      );
      flushing.catch(() => {}); // Awaited at the next turn; without this a failure while reading would count as unhandled.
      if ((await before) === 'discarded') return 'again';
      if (gathered.last) return (await flushing) === 'flushed' ? 'done' : 'again';
      chunkMs = clock.monotonic() - startedAt;
    }
  } catch (error) {
    if (!(error instanceof ReadFailure) || error.reason.code !== 'SLU_T1205') throw error;
    await ports.tables.rewritten(table);
    return 'again';
  } finally {
    await Promise.allSettled([flushing, chunks.return?.()]);
    ports.progress.endTask(table.id, task.index);
  }
}

async function unlessStopped(work: Promise<void>, stop: AbortSignal): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}

interface Gathered {
  readonly rows: CopiedRows;
  bytes: number;
  cursor: JsonValue;
  last: boolean;
}

interface Gathering {
  readonly chunks: AsyncIterator<TaskChunk>;
  readonly binding: TableBinding;
  /** What it may hold at most, and from where on another read might be too much. */
  readonly halfBytes: number;
  readonly fullBytes: number;
  readonly meter: TaskMeter;
  readonly signal: AbortSignal;
}

/** Takes `halfBytes` from the budget, which the caller gives back; null (and nothing taken) if the reading ended early. */
async function gather(ports: SnapshotTaskPorts, gathering: Gathering): Promise<Gathered | null> {
  const { clock, budget } = ports;
  const { chunks, binding, halfBytes, fullBytes, meter, signal } = gathering;
  meter.enter('wait');
  await budget.take(halfBytes, signal);
  const gathered: Gathered = { rows: copiedRows(binding), bytes: 0, cursor: null, last: false };
  try {
    while (gathered.bytes <= fullBytes && !gathered.last) {
      meter.enter('read');
      const next = await chunks.next().catch((error: unknown) => {
        signal.throwIfAborted();
        throw new ReadFailure(error);
      });
      if (next.done === true) {
        budget.give(halfBytes);
        return null;
      }
      meter.enter('evaluate');
      await evaluateInTurns({ clock, meter }, next.value.rows, gathered.rows);
      gathered.bytes += next.value.bytes;
      gathered.cursor = next.value.cursor;
      gathered.last = next.value.last;
    }
  } catch (error) {
    budget.give(halfBytes);
    throw error;
  }
  return gathered;
}

/** In short turns: the stream's changes and its acknowledgements must not wait for whole chunks of every task. */
async function evaluateInTurns(
  { clock, meter }: { readonly clock: Clock; readonly meter: TaskMeter },
  rows: ByteRows,
  into: CopiedRows,
): Promise<void> {
  let until = clock.monotonic() + TURN_MS;
  for (let from = 0; from < rows.count; from += ROWS_BETWEEN_LOOKS) {
    take(rows, from, into);
    if (clock.monotonic() < until) continue;
    meter.enter('wait');
    await nextSlice();
    meter.enter('evaluate');
    until = clock.monotonic() + TURN_MS;
  }
}

/** @throws ReadFailure for a row that cannot be taken in */
function take(rows: ByteRows, from: number, into: CopiedRows): void {
  try {
    into.add(rows, from, Math.min(rows.count, from + ROWS_BETWEEN_LOOKS));
  } catch (cause) {
    throw new ReadFailure(undecodable(into.binding.table, cause));
  }
}

function undecodable(table: TableState, cause: unknown): SluiceError {
  const { schema, name } = table.relation;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SluiceError('SLU_R1105', `a row of ${schema}.${name} cannot be taken in: ${why}`, { cause });
}

interface RowsFlush {
  readonly table: TableState;
  readonly task: TaskState;
  readonly gathered: Gathered;
  readonly meter: TaskMeter;
}

async function flushBehind(
  before: Promise<'flushed' | 'discarded'>,
  ports: SnapshotTaskPorts,
  flush: RowsFlush,
): Promise<'flushed' | 'discarded'> {
  return (await before) === 'discarded' ? 'discarded' : flushRows(ports, flush);
}

async function flushRows(
  ports: SnapshotTaskPorts,
  { table, task, gathered, meter }: RowsFlush,
): Promise<'flushed' | 'discarded'> {
  const { writer, progress, clock } = ports;
  const { rows, bytes, cursor, last } = gathered;
  const tableId = table.id;
  const startedAt = clock.monotonic();
  const result = await writer.flushSnapshot({
    rows: rows.flushed,
    guard: { tableId, generation: table.generation, truncateEpoch: table.truncateEpoch },
    progress: { index: task.index, cursor, rows: rows.count, bytes, done: last },
  });
  rows.release();
  if (result.kind === 'discarded') {
    progress.discardedChunks++;
    return 'discarded';
  }
  meter.flushed({ rows: rows.count, bytes, ops: result.ops, flushMs: clock.monotonic() - startedAt });
  return 'flushed';
}

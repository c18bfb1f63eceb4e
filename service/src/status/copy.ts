/** The copy's part of the status document: how far, how fast, how long still, and where its time goes. */
import type { CopyFacts, CopyScheduleFacts, SnapshotFacts, StageMs, TableCopyFacts } from '@sluice/replication';
import {
  holdOf,
  type SnapshotControl,
  tableControl,
  type TableHold,
  type TableState,
  type TaskState,
} from '@sluice/storage';
import { hintOf } from './hint.ts';

export interface Progress {
  /** Durable: a restart does not lower them. */
  readonly rows: number;
  readonly rowsEstimate: number;
  readonly bytes: number;
  readonly bytesEstimate: number;
  /** 0 to 100; by rows, by an estimate that may be off. */
  readonly percent: number;
  /** Over the last half minute; null while nothing is known or nothing is left. */
  readonly rowsPerSecond: number | null;
  readonly bytesPerSecond: number | null;
  readonly secondsLeft: number | null;
  /** Time of all its tasks in this process, and what it went into; null before it began to copy. */
  readonly time: { readonly elapsedMs: number; readonly stages: StageMs } | null;
}

export interface TaskStatus extends Progress {
  readonly index: number;
  /** Whether it is being read now, by this process. */
  readonly active: boolean;
  /** The process that has it, this one or another; null if none has. */
  readonly claimedBy: string | null;
}

export interface TableStatus extends Progress {
  readonly schema: string;
  readonly name: string;
  readonly snapshot: TableState['snapshot'];
  readonly generation: number;
  /** How its tasks were cut, and of what; null before they are. */
  readonly plan: TableState['plan'];
  /** Higher ones are copied first. */
  readonly priority: number;
  /** What keeps it from being copied, until it is resumed; null if nothing does. */
  readonly held: HoldStatus | null;
  /** What failed, and is tried again by itself. */
  readonly retries: readonly RetryStatus[];
  readonly tasks: {
    readonly done: number;
    readonly all: number;
    /** Those that are not done: the ones being read first, and not all of very many. */
    readonly open: readonly TaskStatus[];
  };
}

export interface HoldStatus {
  readonly kind: TableHold['kind'];
  readonly since: string;
  /** Of a quarantine. */
  readonly error: { readonly code: string; readonly message: string; readonly hint: string } | null;
}

export interface RetryStatus {
  /** Null: while it was planned. */
  readonly task: number | null;
  readonly code: string;
  readonly message: string;
  readonly failures: number;
  readonly nextAt: string;
}

/** What is known of the copy of one stream, here and in storage. */
export interface CopyKnowledge {
  readonly tasks: readonly TaskState[];
  readonly control: SnapshotControl;
  readonly facts: SnapshotFacts | null;
  readonly schedule: CopyScheduleFacts | null;
}

const OPEN_TASKS_MAX = 20;

export function tableStatus(table: TableState, about: CopyKnowledge): TableStatus {
  const facts = about.facts?.tables.get(table.id) ?? null;
  const hold = table.snapshot === 'done' ? null : holdOf(about.control, table);
  const retries = about.schedule?.retries.filter(({ tableId }) => tableId === table.id) ?? [];
  const tasks = about.tasks.filter((task) => task.tableId === table.id);
  const open = tasks.filter((task) => task.state !== 'done').map((task) => taskStatus(task, facts));
  return {
    schema: table.relation.schema,
    name: table.relation.name,
    snapshot: table.snapshot,
    generation: table.generation,
    plan: table.plan,
    priority: tableControl(about.control, `${table.relation.schema}.${table.relation.name}`).priority,
    held: hold === null ? null : holdStatus(hold),
    retries: retries.map(({ index, code, message, failures, nextAtMs }) => {
      return { task: index, code, message, failures, nextAt: new Date(nextAtMs).toISOString() };
    }),
    ...progress(total(tasks.map(amounts)), { facts, complete: table.snapshot === 'done' }),
    tasks: {
      done: tasks.length - open.length,
      all: tasks.length,
      open: open.toSorted((a, b) => urgency(b) - urgency(a)).slice(0, OPEN_TASKS_MAX),
    },
  };
}

function urgency({ active, claimedBy }: TaskStatus): number {
  return active ? 2 : claimedBy === null ? 0 : 1;
}

function holdStatus(hold: TableHold): HoldStatus {
  const since = new Date(hold.atMs).toISOString();
  if (hold.kind !== 'quarantined') return { kind: hold.kind, since, error: null };
  const { code, message } = hold;
  return { kind: hold.kind, since, error: { code, message, hint: hintOf(code) } };
}

function taskStatus(task: TaskState, table: TableCopyFacts | null): TaskStatus {
  const facts = table?.tasks.get(task.index) ?? null;
  const { index, claimedBy } = task;
  return { index, active: facts !== null, claimedBy, ...progress(amounts(task), { facts, complete: false }) };
}

export function overallProgress(tables: readonly TableStatus[], copy: SnapshotFacts | null): Progress {
  const complete = tables.length > 0 && tables.every((table) => table.snapshot === 'done');
  return progress(total(tables), { facts: copy, complete });
}

type Amounts = Pick<Progress, 'rows' | 'rowsEstimate' | 'bytes' | 'bytesEstimate'>;

/** What is done is known; the estimate of the rest may be too low. */
function amounts({ state, rows, bytes, rowsEstimate, bytesEstimate }: TaskState): Amounts {
  if (state === 'done') return { rows, rowsEstimate: rows, bytes, bytesEstimate: bytes };
  return { rows, rowsEstimate: Math.max(rows, rowsEstimate), bytes, bytesEstimate: Math.max(bytes, bytesEstimate) };
}

function total(parts: readonly Amounts[]): Amounts {
  const sum = { rows: 0, rowsEstimate: 0, bytes: 0, bytesEstimate: 0 };
  for (const part of parts) {
    sum.rows += part.rows;
    sum.rowsEstimate += part.rowsEstimate;
    sum.bytes += part.bytes;
    sum.bytesEstimate += part.bytesEstimate;
  }
  return sum;
}

function progress(
  copied: Amounts,
  { facts, complete }: { readonly facts: CopyFacts | null; readonly complete: boolean },
): Progress {
  const { rows, rowsEstimate, bytes, bytesEstimate } = copied;
  const rowsPerSecond = complete ? null : (facts?.rowsPerSecond ?? null);
  const bytesPerSecond = complete ? null : (facts?.bytesPerSecond ?? null);
  return {
    rows,
    rowsEstimate,
    bytes,
    bytesEstimate,
    percent: complete ? 100 : percentOf(rows, rowsEstimate),
    rowsPerSecond: rounded(rowsPerSecond),
    bytesPerSecond: rounded(bytesPerSecond),
    secondsLeft: complete ? 0 : secondsLeft(rowsEstimate - rows, rowsPerSecond),
    time: facts === null || facts.elapsedMs === 0 ? null : { elapsedMs: facts.elapsedMs, stages: facts.stages },
  };
}

/** Never 100 before it is complete. */
function percentOf(rows: number, rowsEstimate: number): number {
  return rowsEstimate === 0 ? 0 : Math.min(99.9, Math.floor((rows / rowsEstimate) * 1000) / 10);
}

function secondsLeft(rows: number, rowsPerSecond: number | null): number | null {
  return rowsPerSecond === null || rowsPerSecond === 0 ? null : Math.ceil(Math.max(0, rows) / rowsPerSecond);
}

function rounded(rate: number | null): number | null {
  return rate === null ? null : Math.round(rate);
}

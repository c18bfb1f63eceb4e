/**
 * What storage knows of the source tables of a stream and of the tasks that copy them. Like the checkpoint state, it is
 * changed only inside storage transactions; writers keep no copy that another writer must know about.
 */
import { invariant, type Position, type Relation, SluiceError, type TableId } from '@sluice/core';
import { advance, type CheckpointState } from './checkpoint-state.ts';

/**
 * `shown`: its rows are in buckets as soon as they are stored. `staged`: a table that came while clients were being
 * served; its rows, copied and streamed, are records without ops, and checkpoints go on without them. `publishing`: some
 * of its records have been turned into ops, and no checkpoint may be made before all are.
 */
export type TableVisibility = 'shown' | 'staged' | 'publishing';

export interface TableState {
  readonly id: TableId;
  /** The table as it was when this incarnation was made. */
  readonly relation: Relation;
  /** Positions of the record key's columns in `relation.columns`. */
  readonly keyColumns: readonly number[];
  /** Rises with each (re-)copy. A chunk read under another generation is discarded at its flush. */
  readonly generation: number;
  /** Rises with each truncate that the stream applied. A chunk read under a lower one is discarded at its flush. */
  readonly truncateEpoch: number;
  readonly snapshot: 'pending' | 'done';
  /** Sampled in the source after the last read of the copy; null until `snapshot` is done. */
  readonly endPosition: Position | null;
  /** What the tasks of this generation were made from; null before they are planned. */
  readonly plan: TablePlan | null;
  readonly visibility: TableVisibility;
  /**
   * Rises when the source's history before this moment is lost to the stream. A record keeps the history in which it was
   * last confirmed: what older ones say may be wrong by now.
   */
  readonly history: number;
  /** Whether records of an older history may be left. The copy compares with them; what it does not meet is swept. */
  readonly unconfirmed: boolean;
}

/** A restart goes on with the stored tasks; the hash tells people and tests whether a plan is the one they have seen. */
export interface TablePlan {
  /** Of everything the plan was made from. */
  readonly hash: string;
  /** How the table is cut, in the words of the source. */
  readonly strategy: string;
}

/** One stored unit of copying: a range of one table. Ranges and cursors are JSON that only the source understands. */
export interface TaskState {
  readonly tableId: TableId;
  /** 0, 1, 2, … within the table. */
  readonly index: number;
  readonly range: JsonValue;
  /** Where to go on reading; null before the first durable chunk. */
  readonly cursor: JsonValue | null;
  readonly state: 'pending' | 'done';
  /** The writer that reads it, if that one is alive (`CopyWriter.claimant`): nobody else stores rows of it then. */
  readonly claimedBy: string | null;
  /** Rows and source bytes durable so far. */
  readonly rows: number;
  readonly bytes: number;
  readonly rowsEstimate: number;
  readonly bytesEstimate: number;
}

export interface TaskProgress {
  readonly index: number;
  readonly cursor: JsonValue | null;
  /** Rows and source bytes of this chunk, skipped ones included. */
  readonly rows: number;
  readonly bytes: number;
  readonly done: boolean;
}

/** A task of one generation of its table. */
export interface TaskRef {
  readonly tableId: TableId;
  readonly generation: number;
  readonly index: number;
}

/** A task as it is planned. */
export type PlannedRange = Pick<TaskState, 'index' | 'range' | 'rowsEstimate' | 'bytesEstimate'>;

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * A new incarnation of a table: waits for its plan and its copy. It can be staged only beside a checkpoint that goes on
 * being served; before the first one there is nobody to keep it from.
 */
export function newTable(
  about: Pick<TableState, 'id' | 'relation' | 'keyColumns'>,
  wanted: Exclude<TableVisibility, 'publishing'>,
  { checkpoint }: CheckpointState,
): TableState {
  const visibility = checkpoint === null ? 'shown' : wanted;
  return { ...about, ...UNCOPIED, generation: 1, truncateEpoch: 0, visibility, history: 1, unconfirmed: false };
}

const UNCOPIED = { snapshot: 'pending', endPosition: null, plan: null } as const;

/** The table after its copy; `position` was sampled behind its last read. */
export function copyDone(table: TableState, position: Position): TableState {
  return { ...table, snapshot: 'done', endPosition: position };
}

/**
 * The table when it must be copied (again). Its tasks go.
 * @param widened the table with columns that were added: their values are in the source alone, and all rows are compared
 */
export function copyRequired(table: TableState, widened?: Relation): TableState {
  if (widened !== undefined) return { ...historyLost(table), relation: widened };
  return { ...table, ...UNCOPIED, generation: table.generation + 1 };
}

/**
 * @param now the table as it is
 * @returns null if it is another by now, or none: what was planned says nothing of it
 * @throws SLU_X0001 if it is planned already
 */
export function tablePlanned(
  now: TableState | undefined,
  { generation }: Pick<TableState, 'generation'>,
  plan: TablePlan,
): TableState | null {
  if (now?.generation !== generation) return null;
  invariant(now.plan === null, `table ${now.id} is planned already`);
  return { ...now, plan };
}

/** The table after some of its staged rows were published, or all. */
export function rowsPublished(table: TableState, remaining: boolean): TableState {
  return { ...table, visibility: remaining ? 'publishing' : 'shown' };
}

/** Whether no checkpoint may be made before the table is copied (or, if it was staged, published). */
export function holdsCheckpoints({ visibility, snapshot }: Pick<TableState, 'visibility' | 'snapshot'>): boolean {
  return visibility === 'publishing' || (visibility === 'shown' && snapshot === 'pending');
}

/** The checkpoint state after a table was added, or must be copied again. */
export function whileCopying(state: CheckpointState, table: TableState): CheckpointState {
  return holdsCheckpoints(table) ? advance(state, { kind: 'tableSnapshotRequired' }) : state;
}

/** The checkpoint state after a table's copy. Staged rows are not in buckets yet: it binds nobody before they are. */
export function afterCopy(state: CheckpointState, { visibility }: TableState, position: Position): CheckpointState {
  return visibility === 'staged' ? state : advance(state, { kind: 'tableSnapshotDone', position });
}

/** The table when the stream could not go on where it stood: whatever is known of its rows must be confirmed. */
export function historyLost(table: TableState): TableState {
  return { ...copyRequired(table), history: table.history + 1, unconfirmed: true };
}

/** Whether every row of the table's generation has been read; what was not met may be swept. */
export function isRead(table: TableState, generation: number, tasks: readonly TaskState[]): boolean {
  return table.generation === generation && table.plan !== null && tasks.every((task) => task.state === 'done');
}

export function newTask(tableId: TableId, planned: PlannedRange): TaskState {
  return { ...planned, tableId, cursor: null, state: 'pending', claimedBy: null, rows: 0, bytes: 0 };
}

/** Of tasks that were stored when one process copied them all. */
export const BEFORE_CLAIMS = { claimedBy: null } as const;

/** Whether a writer may store rows of the task: it has claimed it, and nobody has cut it in two since. */
export function mayWrite(task: TaskState | undefined, claimant: string): boolean {
  return task?.state === 'pending' && task.claimedBy === claimant;
}

/**
 * The task as it is when `claimant` has it.
 * @param table as it is now
 * @param isAlive of writers other than `claimant`
 * @returns null if it cannot have it
 */
export function taskClaimed(
  { table, task }: { readonly table: TableState | undefined; readonly task: TaskState | undefined },
  { generation, claimant, isAlive }: Claim,
): TaskState | null {
  if (table?.snapshot !== 'pending' || table.generation !== generation || task?.state !== 'pending') return null;
  if (task.claimedBy !== null && task.claimedBy !== claimant && isAlive(task.claimedBy)) return null;
  return { ...task, claimedBy: claimant };
}

/** The task as it is told: what a dead writer had is nobody's. */
export function claimedByLiving(task: TaskState, isAlive: Claim['isAlive']): TaskState {
  return task.claimedBy === null || isAlive(task.claimedBy) ? task : { ...task, claimedBy: null };
}

export interface Claim {
  readonly generation: number;
  readonly claimant: string;
  readonly isAlive: (claimant: string) => boolean;
}

/** The task after a chunk of it became durable. */
export function taskAfter(task: TaskState, { cursor, rows, bytes, done }: TaskProgress): TaskState {
  const sums = { rows: task.rows + rows, bytes: task.bytes + bytes };
  return done
    ? { ...task, ...sums, cursor, state: 'done', claimedBy: null }
    : { ...task, ...sums, cursor, state: 'pending' };
}

/**
 * Two tasks in place of one that is not done: it keeps the range up to some point, the rest is given to a new task. Both
 * are anybody's: who has read the task begins anew with what was kept.
 */
export interface TaskSplit extends TaskRef {
  /** What the parts were made for: a task that has moved on since, or was cut, is not split. */
  readonly range: JsonValue;
  readonly cursor: JsonValue | null;
  /** `rowsEstimate` and `bytesEstimate` with what was read already. */
  readonly kept: Omit<PlannedRange, 'index'>;
  readonly given: Omit<PlannedRange, 'index'>;
}

/**
 * @param tasks all tasks of the table
 * @returns the two tasks as they are to be stored; null if the split is out of date
 */
export function taskSplit(
  table: TableState | undefined,
  tasks: readonly TaskState[],
  split: TaskSplit,
): readonly [kept: TaskState, given: TaskState] | null {
  if (table === undefined || table.snapshot !== 'pending' || table.generation !== split.generation) return null;
  const task = tasks.find((candidate) => candidate.index === split.index);
  if (task?.state !== 'pending') return null;
  if (!sameJson(task.cursor, split.cursor) || !sameJson(task.range, split.range)) return null;
  const index = Math.max(...tasks.map((each) => each.index)) + 1;
  return [{ ...task, ...split.kept, claimedBy: null }, newTask(table.id, { ...split.given, index })];
}

/** Whatever the order of keys. */
function sameJson(a: JsonValue, b: JsonValue): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [left, right] = [Object.entries(a), new Map<string, JsonValue>(Object.entries(b))];
  if (Array.isArray(a) !== Array.isArray(b) || left.length !== right.size) return false;
  return left.every(([key, value]) => {
    const other = right.get(key);
    return other !== undefined && sameJson(value, other);
  });
}

/**
 * Whether a delete in the table must leave a tombstone: while a copied row that was read before the delete could still
 * be flushed, or no checkpoint has passed the end of the copy.
 */
export function needsTombstones(table: TableState, checkpoint: CheckpointState['checkpoint']): boolean {
  if (table.snapshot !== 'done' || table.endPosition === null) return true;
  return checkpoint === null || checkpoint.position < table.endPosition;
}

export function notCopied({ relation }: TableState): SluiceError {
  return new SluiceError('SLU_T1204', `table ${relation.schema}.${relation.name} is not copied completely`);
}

/** What a chunk was read under; compared inside the flush transaction. */
export interface ChunkGuard {
  readonly tableId: TableId;
  readonly generation: number;
  readonly truncateEpoch: number;
}

export function guardHolds(guard: ChunkGuard, table: TableState | undefined): boolean {
  return (
    table !== undefined &&
    table.snapshot === 'pending' &&
    table.generation === guard.generation &&
    table.truncateEpoch === guard.truncateEpoch
  );
}

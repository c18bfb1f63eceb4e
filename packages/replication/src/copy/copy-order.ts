/** Which tasks are read next, and which running one is cut in two. Pure: the stored queue in, a choice out. */
import { holdOf, type SnapshotControl, tableControl, type TableState, type TaskState } from '@sluice/storage';

export interface QueuedTask {
  readonly table: TableState;
  readonly task: TaskState;
}

export function tableName(table: TableState): string {
  return `${table.relation.schema}.${table.relation.name}`;
}

/** Whether someone, or a failure that trying again does not mend, keeps the table from being copied now. */
export function isHeld(table: TableState, control: SnapshotControl): boolean {
  return control.paused || holdOf(control, table) !== null;
}

/**
 * Higher priority first. Of equal ones the table with the fewest tasks under way, so that small tables do not wait for a
 * large one; then the largest rest, so that the longest work is not begun last.
 */
export function chooseTasks(
  waiting: readonly QueuedTask[],
  running: readonly QueuedTask[],
  { places, control }: { readonly places: number; readonly control: SnapshotControl },
): readonly QueuedTask[] {
  const underWay = new Map<number, number>();
  const countOf = ({ table }: QueuedTask) => underWay.get(table.id) ?? 0;
  const begin = (chosen: QueuedTask) => underWay.set(chosen.table.id, countOf(chosen) + 1);
  for (const task of running) begin(task);
  const priorityOf = ({ table }: QueuedTask) => tableControl(control, tableName(table)).priority;
  const left = [...waiting];
  const chosen: QueuedTask[] = [];
  while (chosen.length < places && left.length > 0) {
    left.sort(
      (a, b) =>
        priorityOf(b) - priorityOf(a) ||
        countOf(a) - countOf(b) ||
        restBytes(b.task) - restBytes(a.task) ||
        a.table.id - b.table.id ||
        a.task.index - b.task.index,
    );
    const next = left.shift() as QueuedTask;
    begin(next);
    chosen.push(next);
  }
  return chosen;
}

/** The running task of the lowest priority, if one of a higher priority waits and every place is taken. */
export function chooseDisplaced(
  waiting: readonly QueuedTask[],
  running: readonly QueuedTask[],
  control: SnapshotControl,
): QueuedTask | null {
  const priorityOf = ({ table }: QueuedTask) => tableControl(control, tableName(table)).priority;
  const [lowest] = [...running].sort((a, b) => priorityOf(a) - priorityOf(b));
  if (lowest === undefined) return null;
  return waiting.some((task) => priorityOf(task) > priorityOf(lowest)) ? lowest : null;
}

/** What is cheaper to read than to cut stays whole. */
const SPLIT_BYTES_MIN = 16 * 1024 * 1024;

/** The running task with the most left to read, where that is worth two; asked when a place is free and nothing waits. */
export function chooseSplit(running: readonly QueuedTask[]): QueuedTask | null {
  const [largest] = [...running].sort((a, b) => restBytes(b.task) - restBytes(a.task));
  return largest === undefined || restBytes(largest.task) < SPLIT_BYTES_MIN ? null : largest;
}

/** By an estimate; one that has proven too low says nothing: then the end may be as near as it may be far. */
function restBytes({ bytes, bytesEstimate }: TaskState): number {
  return bytes < bytesEstimate ? bytesEstimate - bytes : bytes / 10;
}

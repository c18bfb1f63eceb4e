/**
 * Ranges of blocks. Blocks fit every table and every key, and the server reads a range of them without an index. They are
 * good only as long as the table keeps its file: the file's number is part of the range.
 */
import type { PlannedTask, UnfinishedTask } from '@sluice/replication';
import type { JsonValue } from '@sluice/storage';

/** Blocks `from` (inclusive) to `to` (exclusive; null: to the end, wherever that is by then) of one file. */
export interface BlockRange {
  readonly file: string;
  readonly from: number;
  readonly to: number | null;
}

/** Null if the value is not a range of blocks. */
export function parseBlockRange(range: JsonValue): BlockRange | null {
  const { file, from, to } = (range ?? {}) as { file?: unknown; from?: unknown; to?: unknown };
  const isOne = typeof file === 'string' && typeof from === 'number' && (to === null || typeof to === 'number');
  return isOne ? { file, from, to } : null;
}

/** Below this a task is not worth another statement. */
const SPLIT_BLOCKS_MIN = 512;

/** @param end the block behind the table's last, for ranges that are open above */
export function splitBlocks(
  task: UnfinishedTask,
  range: BlockRange,
  end: number,
): readonly [PlannedTask, PlannedTask] | null {
  const from = typeof task.cursor === 'number' ? task.cursor : range.from;
  const left = (range.to ?? end) - from;
  if (left < SPLIT_BLOCKS_MIN) return null;
  const middle = from + Math.floor(left / 2);
  // Rows of the part that was read count to what is kept.
  const given = 0.5 * (left / Math.max(1, (range.to ?? end) - range.from));
  const part = (blocks: Partial<BlockRange>, share: number) => ({
    range: { ...range, ...blocks },
    rowsEstimate: Math.round(task.rowsEstimate * share),
    bytesEstimate: Math.round(task.bytesEstimate * share),
  });
  return [part({ to: middle }, 1 - given), part({ from: middle }, given)];
}

/**
 * Cuts tables into ranges of blocks. Blocks fit every table and every key, and the server reads a range of them without
 * an index. They are good only as long as the table keeps its file: the file's number is part of the range.
 */
import { createHash } from 'node:crypto';
import { type Relation, SluiceError } from '@sluice/core';
import type { PlannedTask, ReadPlan, UnfinishedTask } from '@sluice/replication';
import type { JsonValue } from '@sluice/storage';
import type { Database } from './database.ts';

/** Blocks `from` (inclusive) to `to` (exclusive; null: to the end, wherever that is by then) of one file. */
export interface BlockRange {
  readonly file: string;
  readonly from: number;
  readonly to: number | null;
}

/** Smaller tables are one task. */
const TASK_BYTES_MIN = 32 * 1024 * 1024;
const TASKS_MAX = 8;

const SIZE_SQL = `
  select pg_relation_filenode(c.oid), pg_relation_size(c.oid), current_setting('block_size'),
    coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0), c.reltuples, c.relpages
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = $1 and n.nspname = $2 and c.relname = $3`;

/** @throws SLU_R1104 if the table is gone, or has another name by now: then it is another table to the rules */
export async function planTable(database: Database, relation: Relation): Promise<ReadPlan> {
  const [row] = await database.rows(SIZE_SQL, [relation.sourceId, relation.schema, relation.name]);
  if (row === undefined) {
    throw new SluiceError('SLU_R1104', `${relation.schema}.${relation.name} does not exist any more`);
  }
  const [file, ...sizes] = row;
  const [bytes = 0, blockBytes = 8192, toastBytes = 0, tuples = 0, pages = 0] = sizes.map(Number);
  const blocks = Math.ceil(bytes / blockBytes);
  const count = Math.max(1, Math.min(TASKS_MAX, blocks, Math.floor((bytes + toastBytes) / TASK_BYTES_MIN)));
  const rowsEstimate = tuples >= 0 && pages > 0 ? (tuples / pages) * blocks : bytes / 100;
  const tasks = Array.from({ length: count }, (_, i) => {
    const from = Math.floor((blocks * i) / count);
    const to = i === count - 1 ? null : Math.floor((blocks * (i + 1)) / count);
    const share = blocks === 0 ? 1 : ((to ?? blocks) - from) / blocks;
    return {
      range: { file: file ?? '', from, to },
      rowsEstimate: Math.round(rowsEstimate * share),
      bytesEstimate: Math.round((bytes + toastBytes) * share),
    };
  });
  const hash = createHash('sha256')
    .update(JSON.stringify([relation.sourceId, file, tasks]))
    .digest('hex')
    .slice(0, 32);
  return { hash, strategy: 'blocks', tasks };
}

/** Below this a task is not worth another statement. */
const SPLIT_BLOCKS_MIN = 512;

/** @param end the block behind the table's last, for ranges that are open above */
export function splitBlocks(task: UnfinishedTask, end: number): readonly [PlannedTask, PlannedTask] | null {
  const range = parseRange(task.range);
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

/** The caller plans the table anew. */
export function tableChanged(relation: Relation, why: string): SluiceError {
  return new SluiceError('SLU_T1205', `${relation.schema}.${relation.name} was read under an older state: ${why}`, {
    where: `${relation.schema}.${relation.name}`,
  });
}

/** @throws SLU_S1155 if the value is not a range that `planTable` made */
export function parseRange(range: JsonValue): BlockRange {
  const { file, from, to } = (range ?? {}) as { file?: unknown; from?: unknown; to?: unknown };
  if (typeof file === 'string' && typeof from === 'number' && (to === null || typeof to === 'number')) {
    return { file, from, to };
  }
  throw new SluiceError('SLU_S1155', 'what was stored as a range of blocks is none');
}

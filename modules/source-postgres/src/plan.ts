/**
 * Cuts a table into tasks, from statistics alone: by ranges of blocks, or by ranges of its primary key where blocks
 * cannot be read by range or the configuration says so. A plan is handed out only with the proof that it tiles the table.
 */
import { createHash } from 'node:crypto';
import { invariant, type Relation, SluiceError } from '@sluice/core';
import type { PlannedTask, ReadPlan, UnfinishedTask } from '@sluice/replication';
import type { PlanStrategy } from './config.ts';
import type { Database } from './database.ts';
import type { BlockRange } from './plan/block-range.ts';
import { cutByKey, keyPoints, type KeyPoint } from './plan/key-cuts.ts';
import { isTexts, type KeyRange } from './plan/key-range.ts';
import { type KeyColumn, type TableFacts, tableFacts } from './plan/table-facts.ts';
import { chain, tiles } from './plan/tiling.ts';

/** Smaller tables are one task. */
const TASK_BYTES_MIN = 32 * 1024 * 1024;
const TASKS_MAX = 8;

/** @throws SLU_R1104 if the table is gone, or has another name by now */
export async function planTable(database: Database, relation: Relation, wanted: PlanStrategy): Promise<ReadPlan> {
  const facts = await tableFacts(database, relation);
  const strategy = chooseStrategy(facts, wanted);
  const count = Math.max(1, Math.min(TASKS_MAX, facts.blocks, Math.floor(facts.bytes / TASK_BYTES_MIN)));
  const tasks = strategy === 'blocks' ? blockTasks(facts, count) : await keyTasks(database, facts, count);
  const madeFrom = JSON.stringify([relation.sourceId, relation.schema, relation.name, strategy, facts, tasks]);
  return { hash: createHash('sha256').update(madeFrom).digest('hex').slice(0, 32), strategy, tasks };
}

/** A key without statistics makes one range of a table that blocks would cut. */
export function chooseStrategy(
  { method, key }: Pick<TableFacts, 'method' | 'key'>,
  wanted: PlanStrategy,
): 'blocks' | 'keys' {
  if (key.length === 0) return 'blocks';
  if (method !== 'heap') return 'keys';
  const [first] = key;
  const known = first !== undefined && first.bounds.length + first.common.length > 0;
  return wanted === 'keys' && known ? 'keys' : 'blocks';
}

function blockTasks({ file, blocks, rows, bytes }: TableFacts, count: number): readonly PlannedTask[] {
  const bounds = Array.from({ length: count - 1 }, (_, i) => Math.floor((blocks * (i + 1)) / count));
  return chain(bounds).map(({ from, to }) => {
    const range: BlockRange = { file, from: from ?? 0, to };
    const share = blocks === 0 ? 1 : ((to ?? blocks) - range.from) / blocks;
    return { range: { ...range }, rowsEstimate: Math.round(rows * share), bytesEstimate: Math.round(bytes * share) };
  });
}

async function keyTasks(database: Database, facts: TableFacts, count: number): Promise<readonly PlannedTask[]> {
  const points = await Promise.all(facts.key.map((column) => sorted(database, column, keyPoints(column))));
  const cuts = cutByKey(points, count);
  const key = facts.key.map((column) => column.name);
  const ranges = cuts.map(({ from }, index) => ({ key, from, to: cuts[index + 1]?.from ?? null }));
  invariant(tiles(ranges), 'the ranges of a plan leave rows out');
  return ranges.map((range, index) => ({
    range,
    rowsEstimate: Math.round(facts.rows * (cuts[index]?.share ?? 0)),
    bytesEstimate: Math.round(facts.bytes * (cuts[index]?.share ?? 0)),
  }));
}

/** In the order of the column's type and collation, which only the server knows. */
async function sorted(database: Database, column: KeyColumn, points: readonly KeyPoint[]): Promise<KeyPoint[]> {
  const order = orderOf(column);
  const sql = `select n::text from unnest($1::text[]) with ordinality as p (v, n) order by ${order}`;
  const rows = await database.rows(sql, [points.map(({ value }) => value)]);
  return rows.flatMap(([n]) => points[Number(n) - 1] ?? []);
}

function orderOf({ type, collation }: KeyColumn): string {
  return collation === null ? `v::${type}` : `(v::${type}) collate ${collation}`;
}

/**
 * The value of the key's first column in the middle of what the task has not read, by the same statistics as the plan.
 * @returns null where they know no value in between
 */
export async function splitKeys(
  database: Database,
  task: UnfinishedTask,
  range: KeyRange,
): Promise<readonly [PlannedTask, PlannedTask] | null> {
  const [column] = (await tableFacts(database, task.relation)).key;
  if (column === undefined || column.name !== range.key[0]) return null;
  const after = isTexts(task.cursor) ? task.cursor : range.from;
  const values = [[...column.bounds, ...column.common], after?.[0] ?? null, range.to?.[0] ?? null];
  const { type } = column;
  const collate = column.collation === null ? '' : ` collate ${column.collation}`;
  const inside = `($2::text is null or v::${type} > $2::${type}${collate}) and ($3::text is null or v::${type} < $3::${type}${collate})`;
  const sql = `select v from unnest($1::text[]) as p (v) where ${inside} order by ${orderOf(column)}`;
  const rows = await database.rows(sql, values);
  const middle = rows[Math.floor(rows.length / 2)]?.[0] ?? null;
  if (middle === null) return null;
  const [kept, given] = [
    { ...range, to: [middle] },
    { ...range, from: [middle] },
  ];
  const rest = (whole: number) => Math.round(whole / 2);
  return [
    { range: kept, rowsEstimate: task.rowsEstimate - rest(task.rowsEstimate), bytesEstimate: rest(task.bytesEstimate) },
    { range: given, rowsEstimate: rest(task.rowsEstimate), bytesEstimate: rest(task.bytesEstimate) },
  ];
}

/** The caller plans the table anew. */
export function tableChanged(relation: Relation, why: string): SluiceError {
  return new SluiceError('SLU_T1205', `${relation.schema}.${relation.name} was read under an older state: ${why}`, {
    where: `${relation.schema}.${relation.name}`,
  });
}

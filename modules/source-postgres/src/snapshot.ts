/**
 * Reads a task with COPY, in statements of their own: no snapshot and no lock outlives a few hundred blocks, or the rows
 * of one chunk.
 */
import { ByteRows, invariant, type Relation, SluiceError } from '@sluice/core';
import type { PlannedTask, ReadTask, TaskChunk, UnfinishedTask } from '@sluice/replication';
import type { CopiedPart } from './copy-out.ts';
import { copyRows, type ReadContext } from './copy-rows.ts';
import { CopyTextParser } from './copy-text.ts';
import { splitKeys, tableChanged } from './plan.ts';
import { type BlockRange, parseBlockRange, splitBlocks } from './plan/block-range.ts';
import { isTexts, keyConditions, keyOrder, type KeyRange, parseKeyRange } from './plan/key-range.ts';
import { qualifiedName, quoteName } from './quote.ts';
import { rowFilterSql } from './row-filter.ts';

/** How much longer rows may be as text than they are in the table: a guess for the first statement, nothing more. */
const TEXT_FACTOR = 2;
/** Statements aim below the size of a chunk. */
const AIM = 0.8;
/** Of the first statement by key. */
const KEY_ROWS_FIRST = 1000;
const KEY_ROWS_MAX = 1_000_000;
const BLOCKS_MAX = 32_768;
const BLOCK_NUMBER_MAX = 0xffff_fffe;

/**
 * The table as it is now: its file, its blocks, bytes of one with what it refers to elsewhere, and its condition in the
 * publication, if it has one.
 */
function stateSql(version: number): string {
  return `
  select pg_relation_filenode(c.oid), ceil(pg_relation_size(c.oid)::float8 / current_setting('block_size')::int),
    (pg_relation_size(c.oid) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0)) /
      greatest(1, pg_relation_size(c.oid) / current_setting('block_size')::int),
    ${rowFilterSql(version, '$4')}
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1 and n.nspname = $2 and c.relname = $3`;
}

/** @throws SLU_S1155 if what was stored as a range is none */
export function readTask(context: ReadContext, request: ReadTask): AsyncGenerator<TaskChunk, void> {
  const blocks = parseBlockRange(request.range);
  if (blocks !== null) return readBlocks(context, request, blocks);
  const keys = parseKeyRange(request.range);
  if (keys !== null) return readKeys(context, request, keys);
  throw notARange();
}

function notARange(): SluiceError {
  return new SluiceError('SLU_S1155', 'what was stored as a range of a table is none');
}

async function* readBlocks(
  context: ReadContext,
  request: ReadTask,
  range: BlockRange,
): AsyncGenerator<TaskChunk, void> {
  const { relation, signal } = request;
  const state = await rangeState(context, relation, range);
  const select = selectSql(relation, range, state.filter);
  let { end } = state;
  let from = typeof request.cursor === 'number' ? request.cursor : range.from;
  const parser = new CopyTextParser(relation.columns.length);
  let blocks = Math.max(1, Math.min(BLOCKS_MAX, Math.round(request.chunkBytes / (TEXT_FACTOR * state.blockBytes))));
  for (;;) {
    signal.throwIfAborted();
    const { chunkBytes } = request;
    const to = Math.min(from + blocks, range.to ?? BLOCK_NUMBER_MAX);
    const statement = `${select} and ctid >= '(${from},0)' and ctid < '(${to},0)'`;
    let bytes = 0;
    let final: CopiedPart = { rows: ByteRows.of([], relation.columns.length), bytes: 0, last: true };
    for await (const part of copyRows(context, { relation, signal, parser, chunkBytes, select: statement })) {
      bytes += part.bytes;
      // Rows of one statement may be far more than a chunk: a block can lead to megabytes of values stored elsewhere.
      if (part.last) final = part;
      else yield { rows: part.rows, bytes: part.bytes, cursor: from, last: false };
    }
    // The last range goes on to where the table ends by now; an empty result may also mean that the file is gone.
    if (bytes === 0 || to >= end) ({ end } = await rangeState(context, relation, range));
    const last = to >= end;
    if (final.rows.count > 0 || last) yield { rows: final.rows, bytes: final.bytes, cursor: to, last };
    if (last) return;
    from = to;
    blocks = nextBlocks(blocks, bytes, request.chunkBytes);
  }
}

/**
 * In the order of the key, each statement from the last row on. A row that is rewritten meanwhile, or a file, does not
 * matter: what moves behind the reader comes through the stream.
 */
async function* readKeys(context: ReadContext, request: ReadTask, range: KeyRange): AsyncGenerator<TaskChunk, void> {
  const { relation, signal } = request;
  const { filter } = await rangeState(context, relation, null);
  const select = selectSql(relation, null, filter);
  const columns = range.key.map((name) => relation.columns.findIndex((column) => column.name === name));
  invariant(!columns.includes(-1), 'a task is read by columns that its table does not have');
  const parser = new CopyTextParser(relation.columns.length);
  let after = isTexts(request.cursor) ? request.cursor : null;
  let limit = KEY_ROWS_FIRST;
  for (;;) {
    signal.throwIfAborted();
    const { chunkBytes } = request;
    const where = keyConditions(range, after).map((condition) => ` and ${condition}`);
    const statement = `${select}${where.join('')} order by ${keyOrder(range)} limit ${limit}`;
    let [bytes, count] = [0, 0];
    for await (const part of copyRows(context, { relation, signal, parser, chunkBytes, select: statement })) {
      bytes += part.bytes;
      count += part.rows.count;
      after = lastKey(part.rows, columns) ?? after;
      // An empty end may also mean that another table has the name by now.
      const last = part.last && count < limit;
      if (last) await rangeState(context, relation, null);
      if (part.rows.count > 0 || last) yield { rows: part.rows, bytes: part.bytes, cursor: after && [...after], last };
      if (last) return;
    }
    const factor = bytes === 0 ? 4 : Math.max(0.1, Math.min(4, (AIM * request.chunkBytes) / bytes));
    limit = Math.max(1, Math.min(KEY_ROWS_MAX, Math.round(limit * factor)));
  }
}

function lastKey(rows: ByteRows, columns: readonly number[]): readonly string[] | null {
  if (rows.count === 0) return null;
  rows.at = rows.count - 1;
  const key = columns.map((column) => rows.text(column) ?? '');
  rows.at = 0;
  return key;
}

/** @throws SLU_T1205 if the table has another file or another name by now */
export async function splitTask(
  context: ReadContext,
  task: UnfinishedTask,
): Promise<readonly [PlannedTask, PlannedTask] | null> {
  const blocks = parseBlockRange(task.range);
  if (blocks !== null) return splitBlocks(task, blocks, (await rangeState(context, task.relation, blocks)).end);
  const keys = parseKeyRange(task.range);
  if (keys === null) throw notARange();
  return splitKeys(context.database, task, keys);
}

/** Aims at one chunk a statement, and never grows fast: the next blocks may be denser. */
function nextBlocks(blocks: number, bytes: number, chunkBytes: number): number {
  const factor = bytes === 0 ? 4 : Math.max(0.1, Math.min(4, (AIM * chunkBytes) / bytes));
  return Math.max(1, Math.min(BLOCKS_MAX, Math.round(blocks * factor)));
}

/**
 * The conditions on `tableoid` and the file are evaluated under the statement's own lock: no row of another table that
 * took the name, and none of a rewritten file, gets through.
 */
function selectSql(relation: Relation, range: BlockRange | null, filter: string | null): string {
  const columns = relation.columns.map((column) => quoteName(column.name)).join(', ');
  const table = Number(relation.sourceId);
  const sameFile = range === null ? '' : ` and pg_relation_filenode(${table}) = ${Number(range.file)}`;
  const guard = `tableoid = ${table}${sameFile}`;
  const condition = filter === null ? guard : `${guard} and (${filter})`;
  return `select ${columns} from only ${qualifiedName(relation)} where ${condition}`;
}

interface RangeState {
  /** The block behind the range. */
  readonly end: number;
  /** With the large values that its rows keep elsewhere. */
  readonly blockBytes: number;
  readonly filter: string | null;
}

/**
 * @param range null where the file does not matter
 * @throws SLU_T1205 if the table has another file or another name by now
 */
async function rangeState(context: ReadContext, relation: Relation, range: BlockRange | null): Promise<RangeState> {
  const { database, publication } = context;
  const values = [relation.sourceId, relation.schema, relation.name, publication];
  const [row] = await database.rows(stateSql(await database.serverVersion()), values);
  if (row === undefined) throw tableChanged(relation, 'it was dropped or renamed');
  const [file, blocks, blockBytes, filter] = row;
  if (range !== null && file !== range.file) {
    throw tableChanged(relation, 'it was rewritten (TRUNCATE, VACUUM FULL, CLUSTER or ALTER)');
  }
  return { end: range?.to ?? Number(blocks), blockBytes: Math.max(1, Number(blockBytes)), filter: filter ?? null };
}

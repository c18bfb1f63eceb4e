/**
 * Reads a range of blocks with COPY, in statements of their own: no snapshot and no lock outlives a few hundred blocks.
 */
import { ByteRows, type Clock, type Relation, SluiceError } from '@sluice/core';
import type { PlannedTask, ReadTask, TaskChunk, UnfinishedTask } from '@sluice/replication';
import { type CopiedPart, CopyOut } from './copy-out.ts';
import { CopyTextParser } from './copy-text.ts';
import type { Database } from './database.ts';
import { sourceError, sqlState } from './errors.ts';
import { type BlockRange, parseRange, splitBlocks, tableChanged } from './plan.ts';
import { qualifiedName, quoteName } from './quote.ts';
import { rowFilterSql } from './row-filter.ts';

/** How much longer rows may be as text than they are in the table: a guess for the first statement, nothing more. */
const TEXT_FACTOR = 2;
/** Statements aim below the size of a chunk, and are split well above it: a split holds the table's lock meanwhile. */
const AIM = 0.8;
const SPLIT = 1.5;
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

export interface ReadContext {
  readonly database: Database;
  readonly publication: string;
  readonly clock: Clock;
  readonly readDeadlineMs: number;
}

export async function* readTask(context: ReadContext, request: ReadTask): AsyncGenerator<TaskChunk, void> {
  const { relation, signal } = request;
  const range = parseRange(request.range);
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
    blocks = nextBlocks(blocks, bytes, chunkBytes);
  }
}

/** @throws SLU_T1205 if the table has another file or another name by now */
export async function splitTask(
  context: ReadContext,
  task: UnfinishedTask,
): Promise<readonly [PlannedTask, PlannedTask] | null> {
  const { end } = await rangeState(context, task.relation, parseRange(task.range));
  return splitBlocks(task, end);
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
function selectSql(relation: Relation, range: BlockRange, filter: string | null): string {
  const columns = relation.columns.map((column) => quoteName(column.name)).join(', ');
  const guard = `tableoid = ${Number(relation.sourceId)} and pg_relation_filenode(${Number(relation.sourceId)}) = ${Number(range.file)}`;
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

/** @throws SLU_T1205 if the table has another file or another name by now */
async function rangeState(context: ReadContext, relation: Relation, range: BlockRange): Promise<RangeState> {
  const { database, publication } = context;
  const values = [relation.sourceId, relation.schema, relation.name, publication];
  const [row] = await database.rows(stateSql(await database.serverVersion()), values);
  if (row === undefined) throw tableChanged(relation, 'it was dropped or renamed');
  const [file, blocks, blockBytes, filter] = row;
  if (file !== range.file) throw tableChanged(relation, 'it was rewritten (TRUNCATE, VACUUM FULL, CLUSTER or ALTER)');
  return { end: range.to ?? Number(blocks), blockBytes: Math.max(1, Number(blockBytes)), filter: filter ?? null };
}

interface CopyRequest {
  readonly relation: Relation;
  /** One for all statements of a task: its memory is used again. */
  readonly parser: CopyTextParser;
  readonly select: string;
  readonly chunkBytes: number;
  readonly signal: AbortSignal;
}

async function* copyRows(context: ReadContext, request: CopyRequest): AsyncGenerator<CopiedPart, void> {
  const { database } = context;
  const { relation, signal, chunkBytes } = request;
  const { client, release } = await database.lease();
  const text = `copy (${request.select}) to stdout`;
  const copy = new CopyOut({ text, parser: request.parser, onData: () => watchdog.fed() });
  const watchdog = new Watchdog(context, (error) => copy.fail(error));
  const abort = () => copy.fail(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  let complete = false;
  try {
    client.query(copy);
    while (!complete) {
      watchdog.fed();
      const part = await copy.next(SPLIT * chunkBytes);
      watchdog.pause();
      complete = part.last;
      yield part;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw explainCopyError(error, relation, database.where);
  } finally {
    watchdog.pause();
    signal.removeEventListener('abort', abort);
    // A connection in the middle of a COPY is of no use to anyone.
    release(complete);
  }
}

/** Gives a read up if the server has sent nothing for too long; the network may have swallowed it. */
class Watchdog {
  readonly #context: ReadContext;
  readonly #bite: (error: SluiceError) => void;
  #cancel: () => void = () => undefined;

  constructor(context: ReadContext, bite: (error: SluiceError) => void) {
    this.#context = context;
    this.#bite = bite;
    this.fed();
  }

  fed(): void {
    this.#cancel();
    const { clock, readDeadlineMs, database } = this.#context;
    this.#cancel = clock.timer(readDeadlineMs, () => {
      const seconds = Math.round(readDeadlineMs / 1000);
      this.#bite(new SluiceError('SLU_S1151', `a copy got nothing for ${seconds} s`, { where: database.where }));
    });
  }

  pause(): void {
    this.#cancel();
  }
}

/** Damaged data, and values that the server itself cannot write as text: reading them again does not help. */
const DAMAGED = /^(?:22|XX00[12])/;

function explainCopyError(error: unknown, relation: Relation, where: string): SluiceError {
  const state = sqlState(error) ?? '';
  if (DAMAGED.test(state)) {
    const message = `a row of ${relation.schema}.${relation.name} cannot be read: ${(error as Error).message}`;
    return new SluiceError('SLU_S1156', message, { cause: error, where });
  }
  switch (state) {
    case '42P01':
    case '3F000':
      return tableChanged(relation, 'it does not exist any more');
    case '42703':
      return new SluiceError('SLU_R1103', `${relation.schema}.${relation.name} has other columns by now`, {
        cause: error,
      });
    case '42501': {
      const hint = `GRANT SELECT ON ${qualifiedName(relation)} to the role of the connection.`;
      return new SluiceError('SLU_S1125', `${relation.schema}.${relation.name} may not be read`, {
        cause: error,
        hint,
      });
    }
    case '55P03': {
      const message = `${relation.schema}.${relation.name} is locked, for example by an ALTER TABLE`;
      return new SluiceError('PSYNC_S1120', message, { cause: error, where });
    }
    default:
      return sourceError(error, where);
  }
}

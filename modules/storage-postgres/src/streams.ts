/** Replication streams: a row each, and tables of their own. Ids are never given twice. */
import { invariant, type StreamId } from '@sluice/core';
import {
  configuredAfter,
  type ConfiguredRules,
  initialCheckpointState,
  initialSnapshotControl,
  type JsonValue,
  requireNewest,
  type SnapshotControl,
  snapshotControlAfter,
  type SnapshotControlChange,
  type StreamInfo,
  type StreamLifecycle,
} from '@sluice/storage';
import type { Names } from './names.ts';
import type { Sql, Tx } from './sql.ts';
import { noCounters } from './state-row.ts';
import { createStreamTables, dropStreamTables } from './stream-tables.ts';

interface Row {
  readonly id: StreamId;
  readonly lifecycle: StreamLifecycle;
  readonly rules: string;
  readonly created_at_ms: number;
  readonly error: string | null;
  readonly source: string | null;
}

const COLUMNS = 'id, lifecycle, rules, created_at_ms, error, source';

export async function listStreams(sql: Sql, names: Names): Promise<StreamInfo[]> {
  return (await sql.rows<Row>(`select ${COLUMNS} from ${names.streams} order by id`)).map(infoOf);
}

function infoOf(row: Row): StreamInfo {
  return {
    id: row.id,
    lifecycle: row.lifecycle,
    rules: row.rules,
    createdAtMs: row.created_at_ms,
    error: row.error === null ? null : (JSON.parse(row.error) as StreamInfo['error']),
    source: row.source === null ? null : (JSON.parse(row.source) as JsonValue),
  };
}

export interface NewStream {
  readonly rules: string;
  readonly createdAtMs: number;
  /** Undefined: whichever it is. */
  readonly after: StreamId | null | undefined;
}

/** Inside a transaction. @throws SLU_T1212 */
export async function createStream(
  sql: Sql,
  names: Names,
  { rules, createdAtMs, after }: NewStream,
): Promise<StreamInfo> {
  // Whoever else makes a stream waits here.
  const [given] = await sql.rows<{ id: StreamId }>(
    `update ${names.about} set last_stream = last_stream + 1 returning last_stream as id`,
  );
  invariant(given !== undefined, 'the storage has no row about itself');
  requireNewest(await sql.rows<Pick<Row, 'id' | 'lifecycle'>>(`select id, lifecycle from ${names.streams}`), after);
  await sql.run(`update ${names.streams} set lifecycle = 'stopped' where lifecycle = 'processing'`);
  const [row] = await sql.rows<Row>(
    `insert into ${names.streams} (id, lifecycle, rules, created_at_ms) values ($1, 'processing', $2, $3)
     returning ${COLUMNS}`,
    [given.id, rules, createdAtMs],
  );
  invariant(row !== undefined, 'the new stream is not there');
  await sql.run(`insert into ${names.states} (id, state, counters) values ($1, $2, $3)`, [
    given.id,
    JSON.stringify(initialCheckpointState),
    JSON.stringify(noCounters),
  ]);
  await createStreamTables(sql, names, given.id);
  await wakeList(sql, names);
  return infoOf(row);
}

/** Inside a transaction. @returns false if it was active already */
export async function activate(sql: Sql, names: Names, id: StreamId): Promise<boolean> {
  const rows = await sql.rows<Pick<Row, 'id' | 'lifecycle'>>(
    `select id, lifecycle from ${names.streams} order by id for update`,
  );
  const stream = rows.find((row) => row.id === id);
  invariant(stream !== undefined, `there is no stream ${id}`);
  if (stream.lifecycle === 'active') return false;
  await sql.run(
    `update ${names.streams} set lifecycle = case when id = $1 then 'active' else 'stopped' end
     where id = $1 or lifecycle = 'active'`,
    [id],
  );
  await wakeList(sql, names);
  return true;
}

/** Inside a transaction. Idempotent. */
export async function dropStream(sql: Sql, names: Names, id: StreamId): Promise<void> {
  const [stream] = await sql.rows<Pick<Row, 'lifecycle'>>(
    `select lifecycle from ${names.streams} where id = $1 for update`,
    [id],
  );
  if (stream === undefined) return;
  invariant(stream.lifecycle === 'stopped', `stream ${id} is not stopped`);
  await dropStreamTables(sql, names, id);
  await sql.run(`delete from ${names.streams} where id = $1`, [id]);
  await wakeList(sql, names);
}

export async function putError(sql: Sql, names: Names, id: StreamId, error: StreamInfo['error']): Promise<void> {
  const document = error === null ? null : JSON.stringify(error);
  const written = await sql.run(`update ${names.streams} set error = $2 where id = $1`, [id, document]);
  invariant(written === 1, `there is no stream ${id}`);
}

/** After progress; writes nothing if there was no error. */
export function clearError(sql: Tx, names: Names, id: StreamId): void {
  sql.send(`update ${names.streams} set error = null where id = $1 and error is not null`, [id]);
}

export function saveSource(sql: Tx, names: Names, id: StreamId, source: JsonValue): void {
  sql.send(`update ${names.streams} set source = $2 where id = $1`, [id, JSON.stringify(source)]);
}

export async function readConfigured(sql: Sql, names: Names): Promise<readonly ConfiguredRules[]> {
  const [about] = await sql.rows<{ configured_rules: string }>(`select configured_rules from ${names.about}`);
  invariant(about !== undefined, 'the storage has no row about itself');
  return JSON.parse(about.configured_rules) as readonly ConfiguredRules[];
}

/** Inside a transaction. */
export async function putConfigured(
  sql: Sql,
  names: Names,
  entry: { readonly process: string; readonly hash: string | null },
): Promise<void> {
  await sql.run(`select 1 from ${names.about} for update`);
  const configured = configuredAfter(await readConfigured(sql, names), entry);
  await sql.run(`update ${names.about} set configured_rules = $1`, [JSON.stringify(configured)]);
}

interface ControlRow {
  readonly snapshot_control: string | null;
}

function controlOf(row: ControlRow | undefined, id: StreamId): SnapshotControl {
  invariant(row !== undefined, `there is no stream ${id}`);
  return row.snapshot_control === null ? initialSnapshotControl : (JSON.parse(row.snapshot_control) as SnapshotControl);
}

export async function readSnapshotControl(sql: Sql, names: Names, id: StreamId): Promise<SnapshotControl> {
  const [row] = await sql.rows<ControlRow>(`select snapshot_control from ${names.streams} where id = $1`, [id]);
  return controlOf(row, id);
}

/** Inside a transaction. */
export async function controlSnapshot(
  sql: Sql,
  names: Names,
  id: StreamId,
  changes: readonly SnapshotControlChange[],
): Promise<SnapshotControl> {
  const [row] = await sql.rows<ControlRow>(
    `select snapshot_control from ${names.streams} where id = $1 for no key update`,
    [id],
  );
  const control = snapshotControlAfter(controlOf(row, id), changes);
  await sql.run(`update ${names.streams} set snapshot_control = $2 where id = $1`, [id, JSON.stringify(control)]);
  return control;
}

function wakeList(sql: Sql, names: Names): Promise<number> {
  return sql.run("select pg_notify($1, 'streams')", [names.channel]);
}

/**
 * Publishing of a staged table into LMDB: checkpoints are withheld from its first part to its last, so its rate is what
 * clients wait for, and its longest part what the stream's flushes wait for. Against staging the same rows.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Relation, silentLogger, systemClock } from '@sluice/core';
import { type ChangeWrite, evaluate, publish, type TableBinding } from '@sluice/replication';
import type { JsonValue, StreamWriter } from '@sluice/storage';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { parseSyncRules } from '@sluice/sync-rules';
import { cpuTimed } from './cpu-time.ts';
import type { BenchOptions } from './options.ts';
import { ReportBuilder } from './report.ts';

const PART_ROWS = 5000;
const POSITION = '0000000000000001';
const RULES = 'config: { edition: 2 }\nbucket_definitions:\n  all: { data: [SELECT * FROM items] }\n';
const RELATION: Relation = {
  sourceId: '1',
  connectionTag: 'default',
  schema: 'public',
  name: 'items',
  replicaIdentity: 'default',
  columns: ['id', 'title', 'body'].map((name) => ({
    name,
    type: 'text',
    typeId: 25,
    typeModifier: -1,
    key: name === 'id',
  })),
};

export async function benchPublish({ rows }: BenchOptions): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const path = await mkdtemp(join(tmpdir(), 'sluice-publish-'));
  const storage = await openLmdbStorage({ path, clock: systemClock, logger: silentLogger });
  try {
    const stream = await storage.createStream(RULES, 0);
    const writer = await storage.openWriter(stream.id, 'bench');
    await writer.markAllSnapshotDone(POSITION);
    await writer.commit(POSITION);
    const binding = await stagedTable(writer);
    const staged = await timed(() => stage(writer, binding, rows));
    const partsMs: number[] = [];
    const published = await timed(() => publishAll(writer, binding, partsMs));
    const figure = (what: string, { seconds, cpuSeconds }: Timed, detail = {}) =>
      report.add({ what, unit: 'rows/s', rate: rows / seconds, seconds, detail: { cpuSeconds, ...detail } });
    const ours = figure('published', published, { parts: partsMs.length, longestMs: Math.max(...partsMs) });
    report.compare(ours, figure('staged', staged), null);
    await writer.close();
  } finally {
    await storage.close();
    await rm(path, { recursive: true, force: true });
  }
  return report;
}

async function stagedTable(writer: StreamWriter): Promise<TableBinding> {
  const table = await writer.addTable(RELATION, [0], 'staged');
  await writer.planTable(table, { hash: '', strategy: '' }, []);
  await writer.markTableSnapshotDone(table.id, table.generation, POSITION);
  const { rules } = parseSyncRules(RULES, { defaultSchema: 'public' });
  const evaluator = rules?.compileTable(RELATION) ?? null;
  const copyEvaluator = rules?.compileByteTable(RELATION) ?? null;
  if (evaluator === null || copyEvaluator === null) throw new Error('the rules do not read the table');
  return { table, keyColumns: [0], foundAt: '', evaluator, copyEvaluator, cut: null, reportRowError: () => {} };
}

async function stage(writer: StreamWriter, binding: TableBinding, rows: number): Promise<void> {
  const body = 'b'.repeat(150);
  for (let first = 0; first < rows; first += PART_ROWS) {
    const writes = Array.from({ length: Math.min(PART_ROWS, rows - first) }, (_, index): ChangeWrite => {
      const key = `row-${first + index}`;
      const row = [key, `title of ${key}`, body];
      return { kind: 'upsert', binding, tableId: binding.table.id, key, row, boundary: POSITION, replayed: false };
    });
    await writer.flush({ writes, evaluate, boundary: POSITION });
  }
}

async function publishAll(writer: StreamWriter, binding: TableBinding, partsMs: number[]): Promise<void> {
  let after: JsonValue | null = null;
  do {
    const startedAt = performance.now();
    const part = await writer.publishRows({
      tableId: binding.table.id,
      after,
      limit: PART_ROWS,
      publish: (table, key, record) => publish(binding, table, key, record),
    });
    partsMs.push(performance.now() - startedAt);
    after = part.next;
  } while (after !== null);
}

interface Timed {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function timed(work: () => Promise<void>): Promise<Timed> {
  const startedAt = performance.now();
  const { cpuSeconds } = await cpuTimed(work);
  return { seconds: (performance.now() - startedAt) / 1000, cpuSeconds };
}

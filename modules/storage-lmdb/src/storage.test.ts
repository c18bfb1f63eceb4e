/** What only this adapter has: files, other processes, limits. The port's law is in test/conformance. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { putOp, type Relation, silentLogger, systemClock } from '@sluice/core';
import {
  type BucketStorage,
  countOps,
  type Effect,
  type RowWrite,
  type StreamWriter,
  type TableState,
} from '@sluice/storage';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { atomically } from './atomically.ts';
import { documentKey } from './keys.ts';
import { openLmdbStorage } from './index.ts';
import type { IndexLimits } from './record-index/index-limits.ts';
import { getDocument, openSchema, putDocument } from './schema.ts';
import type { TableSpace } from './tables.ts';

const relation: Relation = {
  sourceId: '1',
  connectionTag: 'default',
  schema: 'public',
  name: 'todos',
  replicaIdentity: 'default',
  columns: [],
};

let path: string;
const opened: BucketStorage[] = [];

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'sluice-lmdb-'));
});

afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close();
  rmSync(path, { recursive: true, force: true });
});

async function open(options: { mapSizeBytes?: number } = {}): Promise<BucketStorage> {
  const storage = await openLmdbStorage({ path, clock: systemClock, logger: silentLogger, pollMs: 10, ...options });
  opened.push(storage);
  return storage;
}

function evaluate(write: RowWrite): Effect {
  const op = putOp('all', 'todos', write.key, write.key, `{"id":"${write.key}"}`);
  return { record: Buffer.from(write.key.repeat(20)), ops: [op], lookups: [], partial: false };
}

/** Counts the rows that have a record. */
class Priors {
  found = 0;
  readonly evaluate = (write: RowWrite, prior: Uint8Array | null): Effect => {
    if (prior !== null) this.found++;
    return evaluate(write);
  };
}

function rows(table: TableState, from: number, count: number): RowWrite[] {
  return Array.from({ length: count }, (_, i) => ({ tableId: table.id, key: `${from + i}` }));
}

async function copiedTable(writer: StreamWriter): Promise<TableState> {
  const table = await writer.addTable(relation, [0]);
  await writer.planTable(table, { hash: '', strategy: '' }, []);
  await writer.markTableSnapshotDone(table.id, table.generation, '01');
  await writer.markAllSnapshotDone('01');
  return table;
}

test('a path that cannot be opened', async () => {
  const file = join(path, 'file');
  writeFileSync(file, 'x');
  const opening = openLmdbStorage({ path: join(file, 'below'), clock: systemClock, logger: silentLogger });
  await expect(opening).rejects.toMatchObject({ code: 'SLU_T1201', where: join(file, 'below') });
});

test('a storage of another format is refused', async () => {
  const schema = openSchema(path, 2 ** 30);
  await atomically(schema, () => putDocument(schema.documents, documentKey('format'), { version: 999 }));
  await schema.root.close();
  await expect(open()).rejects.toMatchObject({ code: 'SLU_T1202' });
});

test('a storage from before the journal of the index is read on, and its version is raised', async () => {
  const storage = await open();
  const stream = await storage.createStream('rules', 1);
  const writer = await storage.openWriter(stream.id, 'test');
  const table = await copiedTable(writer);
  await writer.flush({ writes: rows(table, 0, 1_000), evaluate, boundary: '02' });
  for (const storage of opened.splice(0)) await storage.close();
  const schema = openSchema(path, 2 ** 30);
  const space = documentKey('tableSpace', stream.id, table.id);
  await atomically(schema, () => {
    const { indexPages, ...before } = getDocument<TableSpace>(schema.documents, space) ?? expect.fail();
    expect(indexPages).toBeGreaterThan(1);
    putDocument(schema.documents, space, before);
    putDocument(schema.documents, documentKey('format'), { version: 2 });
  });
  await schema.root.close();
  const heir = await (await open()).openWriter(stream.id, 'heir');
  const priors = new Priors();
  await heir.flush({ writes: rows(table, 0, 2_000), evaluate: priors.evaluate, boundary: '03' });
  expect(priors.found).toBe(1_000);
  for (const storage of opened.splice(0)) await storage.close();
  const raised = openSchema(path, 2 ** 30);
  expect(getDocument(raised.documents, documentKey('format'))).toEqual({ version: 3 });
  await raised.root.close();
});

test('a full storage refuses flushes and keeps what it has', async () => {
  const storage = await open({ mapSizeBytes: 1_000_000 });
  const stream = await storage.createStream('rules', 1);
  const writer = await storage.openWriter(stream.id, 'test');
  const table = await copiedTable(writer);
  let flushed = 0;
  const fill = async () => {
    for (; flushed < 100; flushed++) {
      await writer.flush({ writes: rows(table, flushed * 1_000, 1_000), evaluate, boundary: '02' });
    }
  };
  await expect(fill()).rejects.toMatchObject({ code: 'SLU_T1203', action: 'retry' });
  expect(flushed).toBeGreaterThan(0);
  expect(await writer.commit('02')).toMatchObject({ kind: 'created', checkpoint: { opId: flushed * 1_000 } });
});

test('a transaction that throws leaves nothing behind', async () => {
  const schema = openSchema(path, 2 ** 30);
  const key = documentKey('stream', 7);
  const work = atomically(schema, () => {
    putDocument(schema.documents, key, { half: true });
    throw new Error('no');
  });
  await expect(work).rejects.toThrow('no');
  await atomically(schema, () => undefined);
  expect(schema.documents.get(key)).toBeUndefined();
  await schema.root.close();
});

/** Runs the storage in another process; its lines come back one by one. */
function otherProcess(script: string) {
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', '--input-type=module', '--eval', script],
    { cwd: join(import.meta.dirname, '..'), stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, line: async () => ((await lines.next()) as IteratorResult<string, string>).value };
}

/** A few flushes leave blocks in the journal of the index, and merge slices of them. */
const SMALL_INDEX: IndexLimits = {
  pageBytes: 80,
  entriesPerPage: 4,
  blockFrom: 2,
  blockFull: 1_000,
  entriesMax: 5_000,
  worthPages: 0.5,
  pagesAlong: 1,
  filterFrom: 1,
};

/** Timers keep no process alive; an open input does. */
const PRELUDE = `
  process.stdin.resume();
  import { systemClock, silentLogger, putOp } from '@sluice/core';
  import { openLmdbStorage } from './src/index.ts';
  const storage = await openLmdbStorage({ path: process.env.SLUICE_PATH, clock: systemClock, logger: silentLogger, pollMs: 10,
    indexLimits: ${JSON.stringify(SMALL_INDEX)} });
`;

test('another process reads and watches beside the writer, and cannot take its lease', async () => {
  const storage = await open();
  const stream = await storage.createStream('rules', 1);
  const writer = await storage.openWriter(stream.id, 'test');
  const table = await copiedTable(writer);
  process.env['SLUICE_PATH'] = path;
  const { child, line } = otherProcess(`${PRELUDE}
    const refused = await storage.openWriter(1, 'other').catch((error) => error.code);
    console.log(refused);
    const reader = storage.reader(1);
    for await (const { opId } of reader.watch(new AbortController().signal)) {
      const [chunk] = await reader.readOps(opId, [{ bucket: 'all', after: 0 }], { ops: 1e6, bytes: 1e9 });
      console.log(opId + ' ' + (chunk?.slices.reduce((sum, { count }) => sum + count, 0) ?? 0));
    }
  `);
  const ended = once(child, 'exit');
  expect(await line()).toBe('PSYNC_S1003');
  await writer.flush({ writes: rows(table, 0, 1_000), evaluate, boundary: '02' });
  await writer.commit('02');
  expect(await line()).toBe('1000 1000');
  await writer.flush({ writes: rows(table, 1_000, 500), evaluate, boundary: '03' });
  await writer.commit('03');
  expect(await line()).toBe('1500 1500');
  child.kill('SIGKILL');
  await ended;
});

test('what a killed process had been told is durable is there, and its lease is free', async () => {
  process.env['SLUICE_PATH'] = path;
  const { child, line } = otherProcess(`${PRELUDE}
    const stream = await storage.createStream('rules', 1);
    const writer = await storage.openWriter(stream.id, 'victim');
    const table = await writer.addTable(${JSON.stringify(relation)}, [0]);
    await writer.planTable(table, { hash: '', strategy: '' }, []);
    await writer.markTableSnapshotDone(table.id, 1, '01');
    await writer.markAllSnapshotDone('01');
    const evaluate = (write) => ({ record: Buffer.from(write.key), lookups: [], partial: false,
      ops: [putOp('all', 'todos', write.key, write.key, '{}')] });
    for (let flush = 0; ; flush++) {
      const writes = Array.from({ length: 500 }, (_, i) => ({ tableId: table.id, key: flush + '.' + i }));
      const { headOp } = await writer.flush({ writes, evaluate, boundary: '02' });
      console.log(headOp);
    }
  `);
  const ended = once(child, 'exit');
  let acknowledged = 0;
  for (let flush = 0; flush < 20; flush++) acknowledged = Number(await line());
  child.kill('SIGKILL');
  await ended;
  for (let more = await line(); more !== undefined; more = await line()) acknowledged = Number(more);
  const storage = await open();
  const writer = await storage.openWriter(1, 'heir');
  const outcome = await writer.commit('02');
  expect(outcome.kind).toBe('created');
  const { opId } = (await storage.reader(1).checkpoint()) ?? { opId: 0 };
  expect(opId).toBeGreaterThanOrEqual(acknowledged);
  expect(opId % 500).toBe(0);
  const [chunk] = await storage.reader(1).readOps(opId, [{ bucket: 'all', after: 0 }], { ops: 1e6, bytes: 1e9 });
  expect(countOps(chunk?.slices ?? [])).toBe(opId);
  expect(await storage.reader(1).bucketSums(opId, ['all'])).toMatchObject([{ count: opId }]);
  const priors = new Priors();
  const writes = Array.from({ length: opId }, (_, at) => ({ tableId: 1, key: `${Math.floor(at / 500)}.${at % 500}` }));
  await writer.flush({ writes, evaluate: priors.evaluate, boundary: '03' });
  expect(priors.found).toBe(opId);
});

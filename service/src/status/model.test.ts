import { SluiceError, systemClock } from '@sluice/core';
import type { EngineStreamFacts, ReplicatorFacts } from '@sluice/replication';
import { createMemoryStorage, PackedRows } from '@sluice/storage';
import { expect, it } from 'vitest';
import { ClientConnections } from '../http/client-connections.ts';
import { statusDocument } from './model.ts';
import { noCopy, noStream } from './test-facts.ts';

const NOW = 1_800_000_000_000;
const clock = { ...systemClock, now: () => NOW, monotonic: () => 90_000 };

const COLUMNS = [{ name: 'id', type: 'int4', typeId: 23, typeModifier: -1, key: true }];
const relation = (name: string) => ({
  sourceId: name,
  connectionTag: 'default',
  schema: 'public',
  name,
  replicaIdentity: 'default' as const,
  columns: COLUMNS,
});

const COPYING = {
  rows: 300,
  bytes: 3000,
  rowsPerSecond: 10.2,
  bytesPerSecond: 102,
  elapsedMs: 30_000,
  stages: { wait: 1000, read: 20_000, evaluate: 5000, flush: 4000 },
};
const READING = { ...COPYING, rows: 100, elapsedMs: 10_000, stages: { wait: 0, read: 10_000, evaluate: 0, flush: 0 } };

function replicator(table: number): ReplicatorFacts {
  return {
    phase: 'snapshotting',
    restart: null,
    stream: noStream({
      commits: 3,
      received: '0000000000000B80',
      durable: '0000000000000B00',
      durableAtMs: NOW - 4_000,
      gate: 'snapshot',
      oldestUncommittedAtMs: NOW - 7_500,
    }),
    snapshot: noCopy({ ...COPYING, tables: new Map([[table, { ...COPYING, tasks: new Map([[1, READING]]) }]]) }),
    copy: null,
    health: {
      head: '0000000000000C00',
      acknowledged: '0000000000000A00',
      retainedBytes: 512,
      budgetBytes: 4096,
      status: 'reserved',
      active: true,
      limitBytes: null,
      failure: null,
    },
    healthAtMs: NOW - 1_000,
    walBudget: null,
    problems: [{ table: 'public.gone', code: 'SLU_R1104', message: 'there is no table public.gone' }],
    rowErrors: 2,
    budgetUsedBytes: 10,
    budgetMaxBytes: 100,
  };
}

it('tells how far a copy is, which gate waits for it, and what is wrong', async () => {
  const storage = createMemoryStorage();
  const stream = await storage.createStream('rules', NOW - 60_000);
  const writer = await storage.openWriter(stream.id, 'test');
  const big = await writer.addTable(relation('big'), [0]);
  await writer.planTable(big, { hash: '', strategy: '' }, [
    { index: 0, range: 'first', rowsEstimate: 400, bytesEstimate: 4000 },
    { index: 1, range: 'second', rowsEstimate: 600, bytesEstimate: 6000 },
  ]);
  const guard = { tableId: big.id, generation: big.generation, truncateEpoch: big.truncateEpoch };
  for (const [index, rows, done] of [
    [0, 200, true],
    [1, 100, false],
  ] as const) {
    const progress = { index, cursor: 'x', rows, bytes: rows * 10, done };
    await writer.claimTask({ tableId: big.id, generation: big.generation, index: progress.index });
    await writer.flushSnapshot({ rows: new PackedRows(big.id), guard, progress });
  }
  const small = await writer.addTable(relation('small'), [0]);
  await writer.planTable(small, { hash: '', strategy: '' }, []);
  await writer.markTableSnapshotDone(small.id, small.generation, '0000000000000900');
  const facts: EngineStreamFacts = {
    streamId: stream.id,
    replicator: replicator(big.id),
    copier: null,
    error: null,
    halted: false,
  };

  const document = await statusDocument({
    storage,
    facts: () => [facts],
    verdict: () => ({ ready: false, started: false, reason: 'the first copy is not complete', touchedAtMs: null }),
    notice: () => new SluiceError('SLU_C0010', 'older rules'),
    connections: new ClientConnections(7),
    clock,
    version: '1.2.3',
    role: 'all',
    startedAtMs: 60_000,
    bytesBetween: (from, to) => Number.parseInt(to, 16) - Number.parseInt(from, 16),
  });

  expect(document.service).toMatchObject({
    version: '1.2.3',
    uptimeSeconds: 30,
    ready: false,
    reason: 'the first copy is not complete',
    notice: { code: 'SLU_C0010', message: 'older rules', hint: expect.stringContaining('newest rules') },
  });
  expect(document.clients).toMatchObject({ connected: 0, max: 7 });
  const [status] = document.streams;
  expect(status).toMatchObject({
    id: 1,
    lifecycle: 'processing',
    phase: 'snapshotting',
    restart: null,
    checkpoint: null,
    gates: { closed: 'snapshot', snapshot: { open: false, waitsFor: 'the copy of big' } },
    // 200 of the task that is done, and 100 of about 600 of the other.
    progress: {
      rows: 300,
      rowsEstimate: 800,
      bytes: 3000,
      bytesEstimate: 8000,
      percent: 37.5,
      rowsPerSecond: 10,
      bytesPerSecond: 102,
      secondsLeft: 50,
      time: { elapsedMs: 30_000, stages: COPYING.stages },
    },
    positions: {
      sourceHead: '0000000000000C00',
      received: '0000000000000B80',
      durable: '0000000000000B00',
      acknowledged: '0000000000000A00',
      checkpoint: null,
    },
    lag: { bytes: null, seconds: 7.5 },
    slot: { status: 'reserved', active: true, retainedBytes: 512, budgetBytes: 4096 },
    budget: { usedBytes: 10, maxBytes: 100 },
    rowErrors: 2,
  });
  expect(status?.tables).toMatchObject([
    {
      name: 'big',
      snapshot: 'pending',
      rows: 300,
      bytes: 3000,
      percent: 37.5,
      tasks: {
        done: 1,
        all: 2,
        open: [{ index: 1, active: true, rows: 100, rowsEstimate: 600, percent: 16.6, time: { elapsedMs: 10_000 } }],
      },
    },
    { name: 'small', snapshot: 'done', percent: 100, secondsLeft: 0 },
  ]);
  expect(status?.problems).toMatchObject([
    { table: 'public.gone', code: 'SLU_R1104', hint: expect.stringContaining('Create the table') },
  ]);
});

it('shows the stored error of a stream that nobody replicates, with its remedy', async () => {
  const storage = createMemoryStorage();
  const stream = await storage.createStream('rules', NOW);
  await storage.reportError(stream.id, { code: 'PSYNC_S1146', message: 'the slot is lost', atMs: NOW });
  const document = await statusDocument({
    storage,
    facts: () => [],
    verdict: () => ({ ready: true, started: true, reason: '', touchedAtMs: null }),
    notice: () => null,
    connections: new ClientConnections(1),
    clock,
    version: '1',
    role: 'serve',
    startedAtMs: 0,
    bytesBetween: () => null,
  });
  expect(document.streams[0]).toMatchObject({
    phase: null,
    error: {
      code: 'PSYNC_S1146',
      message: 'the slot is lost',
      at: new Date(NOW).toISOString(),
      hint: expect.stringContaining('Nothing to do'),
    },
    tables: [],
    progress: { rows: 0, percent: 0, rowsPerSecond: null, secondsLeft: null },
    lag: { bytes: null, seconds: null },
    slot: null,
  });
});

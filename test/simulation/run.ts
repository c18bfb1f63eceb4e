/**
 * One simulated life: a database under random writes, the real replicator over the real storage, crashes, and an oracle
 * that looks at every checkpoint the moment it is made.
 */
import { type Clock, decodeOp, type Random, silentLogger } from '@sluice/core';
import { Replicator } from '@sluice/replication';
import type { BucketStorage, StreamReader, StreamWriter } from '@sluice/storage';
import type { RowEvaluator, SyncRules } from '@sluice/sync-rules';
import { seededRandom } from '../kit/seeded-random.ts';
import { Scheduler, settled } from './scheduler.ts';
import { type DatabaseState, SimulatedDatabase } from './simulated-database.ts';
import { SimulatedSource } from './simulated-source.ts';
import { slowWriter } from './slow-storage.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly openStorage: () => Promise<BucketStorage>;
  /** Opens what is stored again, as a new process would. */
  readonly reopen: (storage: BucketStorage) => Promise<BucketStorage>;
  readonly transactions: number;
  readonly crashes: number;
  /** Takes a rule out, to see it missed. */
  readonly mutant?: (writer: StreamWriter) => Partial<StreamWriter>;
}

const STEPS_MAX = 20_000;
const BUCKETS = ['everyone', 'by_owner["ann"]', 'by_owner["bob"]', 'by_owner["cy"]'];

/** @returns a description of the first violation, or null */
export async function simulate(options: SimulationOptions): Promise<string | null> {
  const random = seededRandom(options.seed).next;
  const database = new SimulatedDatabase(random, ['t1', 't2']);
  let storage = await options.openStorage();
  const stream = await storage.createStream('rules', 0);
  let { transactions, crashes } = options;
  let checked = -1;
  let process = startProcess({ database, storage, id: stream.id, random, mutant: options.mutant });
  await settled();
  for (let step = 0; step < STEPS_MAX; step++) {
    const dice = random();
    if (transactions > 0 && dice < 0.08) {
      transactions--;
      database.commit();
    } else if (crashes > 0 && dice < 0.083) {
      crashes--;
      process.scheduler.dropAll();
      storage = await options.reopen(storage);
      process = startProcess({ database, storage, id: stream.id, random, mutant: options.mutant });
      await settled();
    } else {
      await process.scheduler.step();
    }
    if (process.failure !== null) return `step ${step}: the replicator failed: ${process.failure}`;
    const reader = storage.reader(stream.id);
    const checkpoint = await reader.checkpoint();
    if (checkpoint === null) continue;
    const key = checkpoint.opId * 1e6 + Number.parseInt(checkpoint.position, 16);
    if (key === checked) {
      if (transactions === 0 && crashes === 0 && Number.parseInt(checkpoint.position, 16) >= database.head) return null;
      continue;
    }
    checked = key;
    const difference = await compare(reader, checkpoint.opId, database.stateAt(checkpoint.position));
    if (difference !== null)
      return `step ${step}, checkpoint ${checkpoint.opId} at ${checkpoint.position}: ${difference}`;
  }
  return `no progress: the head was not checkpointed within ${STEPS_MAX} steps`;
}

interface SimulatedProcess {
  readonly scheduler: Scheduler;
  failure: string | null;
}

interface ProcessInputs {
  readonly database: SimulatedDatabase;
  readonly storage: BucketStorage;
  readonly id: number;
  readonly random: Random;
  readonly mutant: SimulationOptions['mutant'];
}

function startProcess({ database, storage, id, random, mutant }: ProcessInputs): SimulatedProcess {
  const scheduler = new Scheduler(random);
  const process: SimulatedProcess = { scheduler, failure: null };
  const never = new AbortController().signal;
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    sleep: () => new Promise(() => {}),
    timer: () => () => {},
  };
  const slow: BucketStorage = {
    ...bound(storage),
    openWriter: async (streamId, owner) => {
      const writer = slowWriter(await storage.openWriter(streamId, owner), scheduler);
      return { ...writer, ...mutant?.(writer) };
    },
  };
  const run = async () => {
    const stream = (await storage.listStreams()).find((candidate) => candidate.id === id);
    if (stream === undefined) throw new Error('the stream is gone');
    const source = new SimulatedSource(database, scheduler, random);
    const ports = { stream, rules, storage: slow, source, clock, logger: silentLogger, owner: 'simulated' };
    await new Replicator({ ...ports, concurrency: 3 }).run(never);
  };
  run().catch((error: unknown) => {
    process.failure = error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error);
  });
  return process;
}

/** Methods of an adapter may be on its prototype, where a spread does not find them. */
function bound(storage: BucketStorage): BucketStorage {
  return {
    createStream: (...args) => storage.createStream(...args),
    listStreams: () => storage.listStreams(),
    activate: (id) => storage.activate(id),
    reportError: (id, error) => storage.reportError(id, error),
    dropStream: (id) => storage.dropStream(id),
    watchStreams: (signal) => storage.watchStreams(signal),
    reader: (id) => storage.reader(id),
    openWriter: (id, owner) => storage.openWriter(id, owner),
    controlSnapshot: (...args) => storage.controlSnapshot(...args),
    createWriteCheckpoint: (...args) => storage.createWriteCheckpoint(...args),
    requestWriteCheckpoint: (...args) => storage.requestWriteCheckpoint(...args),
    writeCheckpoints: (users) => storage.writeCheckpoints(users),
    close: () => storage.close(),
  };
}

/** Every row to everyone; owned rows to their owners, too; a lookup per owner. */
const evaluator: RowEvaluator = {
  evaluate: ([id, owner, large], sink) => {
    const json = JSON.stringify({ id, owner, large });
    sink.data('everyone', 'rows', String(id), json);
    if (typeof owner !== 'string') return;
    sink.data(`by_owner["${owner}"]`, 'rows', String(id), json);
    sink.lookup(`owner ${owner}`, `["${id}"]`);
  },
};

const rules: SyncRules = {
  hash: 'simulated',
  definitions: [],
  tablePatterns: [{ connectionTag: 'default', schema: 'public', name: '', wildcard: true }],
  compileTable: () => evaluator,
  compileTypedTable: () => null,
  resolve: () => ({ streams: [], staticBuckets: [], dynamic: null }),
};

/** What clients would hold at the checkpoint, against what the source had there. */
async function compare(reader: StreamReader, opId: number, state: DatabaseState): Promise<string | null> {
  for (const bucket of BUCKETS) {
    const held = await reduce(reader, opId, bucket);
    if (typeof held === 'string') return held;
    const expected = expectedRows(bucket, state);
    const got = JSON.stringify(held.sort());
    const wanted = JSON.stringify(expected.sort());
    if (got !== wanted) return `${bucket}\n  holds   ${got}\n  expected ${wanted}`;
  }
  for (const owner of ['ann', 'bob', 'cy']) {
    const [values] = await reader.lookups(opId, [`owner ${owner}`]);
    const got = JSON.stringify([...(values ?? [])].sort());
    const wanted = JSON.stringify(
      allRows(state)
        .filter((row) => row[1] === owner)
        .map((row) => `["${row[0]}"]`)
        .sort(),
    );
    if (got !== wanted) return `lookup of ${owner}: ${got}, expected ${wanted}`;
  }
  return null;
}

function allRows(state: DatabaseState) {
  return [...state.values()].flatMap((rows) => [...rows.values()]);
}

function expectedRows(bucket: string, state: DatabaseState): string[] {
  return allRows(state)
    .filter(([, owner]) => bucket === 'everyone' || bucket === `by_owner["${owner}"]`)
    .map(([id, owner, large]) => JSON.stringify({ id, owner, large }));
}

async function reduce(reader: StreamReader, opId: number, bucket: string): Promise<string[] | string> {
  const rows = new Map<string, string>();
  let checksum = 0;
  let count = 0;
  const chunks = await reader.readOps(opId, [{ bucket, after: 0 }], { ops: 1e9, bytes: 1e9 });
  for (const chunk of chunks) {
    for (const [index, body] of chunk.bodies.entries()) {
      const op = decodeOp(body);
      const id = chunk.opIds[index] as number;
      if (id > opId) return `${bucket}: op ${id} above the checkpoint`;
      checksum = (checksum + op.checksum) | 0;
      count++;
      const key = `${op.objectType}/${op.objectId}/${op.subkey}`;
      if (op.op === 'PUT') rows.set(key, op.data as string);
      else rows.delete(key);
    }
  }
  const [sum] = await reader.bucketSums(opId, [bucket]);
  if (sum?.checksum !== checksum || sum.count !== count)
    return `${bucket}: sums ${JSON.stringify(sum)}, ops say ${checksum}, ${count}`;
  return [...rows.values()];
}

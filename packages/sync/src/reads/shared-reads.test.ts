import type { OpId } from '@sluice/core';
import { type BucketChunk, type BucketRequest, eachOp, packOps, type ReadLimits } from '@sluice/storage';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SharedReads } from './shared-reads.ts';

const CHECKPOINT = 100;
const BODY = new Uint8Array(10);
const limits = { ops: 100, bytes: 1e6 };
const single = (index: number) => [{ bucket: `b${index}`, after: 90 }];

/** Buckets `b0`, `b1`, …: the ops of each. Answers as the port says, and counts. */
function storage(ops: readonly (readonly OpId[])[]) {
  const calls: (readonly BucketRequest[])[] = [];
  const readOps = async (checkpoint: OpId, requests: readonly BucketRequest[], limits: ReadLimits) => {
    calls.push(requests);
    await new Promise((resolve) => setImmediate(resolve));
    const chunks: BucketChunk[] = [];
    let left = limits.ops;
    for (const { bucket, after } of requests) {
      const all = (ops[Number(bucket.slice(1))] ?? []).filter((id) => id > after && id <= checkpoint);
      if (all.length === 0) continue;
      if (left === 0) break;
      const opIds = all.slice(0, left);
      left -= opIds.length;
      const slices = [packOps(opIds.map((id) => ({ id, checksum: 0, body: BODY })))];
      chunks.push({ bucket, slices, hasMore: opIds.length < all.length });
      if (opIds.length < all.length) break;
    }
    return chunks;
  };
  return { calls, readOps };
}

async function pass(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Reads a group to its end, as a download does. */
async function readAll(
  reader: Pick<SharedReads, 'readOps'>,
  group: readonly BucketRequest[],
  { checkpoint, ops }: { readonly checkpoint: OpId; readonly ops: number },
): Promise<ReadonlyMap<string, readonly OpId[]>> {
  const got = new Map<string, OpId[]>();
  let left = [...group];
  while (left.length > 0) {
    const chunks = await reader.readOps(checkpoint, left, { ops, bytes: 1e6 });
    for (const { bucket, slices } of chunks) {
      const opIds = [...eachOp(slices)].map(({ opId }) => opId);
      expect(opIds.length).toBeLessThanOrEqual(ops);
      got.set(bucket, [...(got.get(bucket) ?? []), ...opIds]);
      left = left.map((each) => (each.bucket === bucket ? { bucket, after: opIds.at(-1) ?? 0 } : each));
    }
    const last = chunks.at(-1);
    const done = last === undefined ? left.length : left.findIndex(({ bucket }) => bucket === last.bucket) + 1;
    left = left.slice(last?.hasMore === true ? done - 1 : done);
  }
  return got;
}

it('gives every connection what it would have read alone, however they meet', async () => {
  const bucket = fc.uniqueArray(fc.integer({ min: 1, max: 120 }), { maxLength: 12 });
  const group = fc.uniqueArray(
    fc.record({ bucket: fc.integer({ min: 0, max: 5 }).map((n) => `b${n}`), after: fc.constantFrom(0, 20, 90) }),
    { selector: (request) => request.bucket, minLength: 1, maxLength: 6 },
  );
  const checkpoint = fc.constantFrom(95, CHECKPOINT);
  const ops = fc.integer({ min: 1, max: 15 });
  const connection = fc.record({ group, checkpoint, ops, turns: fc.integer({ min: 0, max: 3 }) });
  const ahead = fc.record({ group, checkpoint, forgottenAfter: fc.integer({ min: 0, max: 3 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(bucket, { minLength: 6, maxLength: 6 }),
      fc.array(connection, { minLength: 1, maxLength: 8 }),
      fc.option(ahead, { nil: null }),
      async (buckets, connections, before) => {
        const sorted = buckets.map((ids) => ids.toSorted((a, b) => a - b));
        const inner = storage(sorted);
        const shared = new SharedReads({
          reader: inner,
          isRecent: (opId) => opId >= 20,
          bounds: { ops: 6, bytes: 1e6 },
        });
        const read = before === null ? null : shared.readAhead(before.checkpoint, before.group);
        const forgotten = pass(before?.forgottenAfter ?? 0).then(() => read?.forget());
        await Promise.all(
          connections.map(async ({ group: own, turns, ...bounds }) => {
            await pass(turns);
            expect(await readAll(shared, own, bounds)).toEqual(await readAll(storage(sorted), own, bounds));
          }),
        );
        await forgotten;
      },
    ),
    { numRuns: 300 },
  );
});

it('is one call for many connections with the news of a checkpoint, and one each for first downloads', async () => {
  const inner = storage(Array.from({ length: 10 }, () => [10, 95]));
  const shared = new SharedReads({ reader: inner, isRecent: (opId) => opId >= 90 });
  const news = (index: number) => shared.readOps(CHECKPOINT, [{ bucket: `b${index % 10}`, after: 90 }], limits);
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => news(index)));
  expect(answers.flat()).toHaveLength(100);
  expect(inner.calls).toHaveLength(1);
  const first = () => shared.readOps(CHECKPOINT, [{ bucket: 'b1', after: 0 }], limits);
  await Promise.all([first(), first()]);
  expect(inner.calls).toHaveLength(3);
});

it('what was read ahead is there for whoever comes, until it is forgotten', async () => {
  const inner = storage(Array.from({ length: 50 }, () => [10, 95]));
  const shared = new SharedReads({ reader: inner, isRecent: (opId) => opId >= 90 });
  const ahead = shared.readAhead(
    CHECKPOINT,
    Array.from({ length: 50 }, (_, index) => ({ bucket: `b${index}`, after: 90 })),
  );
  await ahead.ready;
  for (let index = 0; index < 50; index++) {
    expect(await shared.readOps(CHECKPOINT, single(index), limits)).toMatchObject([{ bucket: `b${index}` }]);
    await pass(1);
  }
  expect(inner.calls).toHaveLength(1);
  ahead.forget();
  await shared.readOps(CHECKPOINT, single(7), limits);
  expect(inner.calls).toHaveLength(2);
});

it('nobody meets the error of a read that was made ahead, and those who share a read all meet its error', async () => {
  const inner = storage([[95], [95]]);
  let failures = 1;
  const readOps: typeof inner.readOps = async (...args) => {
    if (failures-- > 0) throw new Error('storage is away');
    return inner.readOps(...args);
  };
  const shared = new SharedReads({ reader: { readOps }, isRecent: () => true });
  const ahead = shared.readAhead(CHECKPOINT, [...single(0), ...single(1)]);
  await ahead.ready;
  expect(await shared.readOps(CHECKPOINT, single(0), limits)).toMatchObject([{ bucket: 'b0' }]);
  failures = 1;
  const both = await Promise.allSettled([0, 1].map((index) => shared.readOps(CHECKPOINT, single(index), limits)));
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await shared.readOps(CHECKPOINT, single(1), limits)).toMatchObject([{ bucket: 'b1' }]);
});

it('a large bucket that fills a batch does not make those behind it read one by one', async () => {
  const many = Array.from({ length: 1_000 }, (_, index) => 91 + index);
  const inner = storage([many, ...Array.from({ length: 99 }, () => [95])]);
  const later = 2_000;
  const bounds = { ops: 200, bytes: 1e6 };
  const shared = new SharedReads({ reader: inner, isRecent: () => true, bounds });
  const ahead = shared.readAhead(
    later,
    Array.from({ length: 100 }, (_, index) => ({ bucket: `b${index}`, after: 90 })),
  );
  await ahead.ready;
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) => shared.readOps(later, single(index), limits)),
  );
  // The large one is cut to what its connection may take.
  expect(answers.map((chunks) => chunks.flatMap(({ slices }) => [...eachOp(slices)]).length)).toEqual([
    100,
    ...Array.from({ length: 99 }, () => 1),
  ]);
  expect(answers[0]?.[0]?.hasMore).toBe(true);
  expect(inner.calls).toHaveLength(2);
});

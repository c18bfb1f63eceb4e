import type { OpId } from '@sluice/core';
import { type BucketChunk, type BucketRequest, eachOp, packOps, type ReadLimits } from '@sluice/storage';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SharedReads } from './shared-reads.ts';

const CHECKPOINT = 100;
const BODY = new Uint8Array(10);

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

/** Reads a group to its end, as a download does. */
async function readAll(
  reader: Pick<SharedReads, 'readOps'>,
  group: readonly BucketRequest[],
  ops: number,
): Promise<ReadonlyMap<string, readonly OpId[]>> {
  const got = new Map<string, OpId[]>();
  let left = [...group];
  while (left.length > 0) {
    const chunks = await reader.readOps(CHECKPOINT, left, { ops, bytes: 1e6 });
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
  const connection = fc.record({ group, ops: fc.integer({ min: 1, max: 15 }), turns: fc.integer({ min: 0, max: 3 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(bucket, { minLength: 6, maxLength: 6 }),
      fc.array(connection, { minLength: 1, maxLength: 8 }),
      async (buckets, connections) => {
        const sorted = buckets.map((ids) => ids.toSorted((a, b) => a - b));
        const inner = storage(sorted);
        const shared = new SharedReads({
          reader: inner,
          isRecent: (opId) => opId >= 20,
          bounds: { ops: 6, bytes: 1e6 },
        });
        await Promise.all(
          connections.map(async ({ group: own, ops, turns }) => {
            for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
            expect(await readAll(shared, own, ops)).toEqual(await readAll(storage(sorted), own, ops));
          }),
        );
      },
    ),
    { numRuns: 150 },
  );
});

it('is one call for many connections with the news of a checkpoint, and one each for first downloads', async () => {
  const inner = storage(Array.from({ length: 10 }, () => [10, 95]));
  const shared = new SharedReads({ reader: inner, isRecent: (opId) => opId >= 90 });
  const limits = { ops: 100, bytes: 1e6 };
  const news = (index: number) => shared.readOps(CHECKPOINT, [{ bucket: `b${index % 10}`, after: 90 }], limits);
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => news(index)));
  expect(answers.flat()).toHaveLength(100);
  expect(inner.calls).toHaveLength(1);
  const first = () => shared.readOps(CHECKPOINT, [{ bucket: 'b1', after: 0 }], limits);
  await Promise.all([first(), first()]);
  expect(inner.calls).toHaveLength(3);
});

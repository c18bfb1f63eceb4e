/** Reads as of a checkpoint: ranges, limits, sums, changes. */
import { expect, test } from 'vitest';
import type { BucketChunk, BucketRequest, ReadLimits } from '../bucket-storage.ts';
import { eachOp } from '../op-run.ts';
import { ReadMemory } from '../read-memory.ts';
import { at, opIdsOf, type World } from './harness.ts';
import { put, remove } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

const UNLIMITED: ReadLimits = { ops: 1e6, bytes: 1e9 };

function shape(chunks: readonly BucketChunk[]): [string, number[], boolean][] {
  return chunks.map((chunk) => [chunk.bucket, opIdsOf(chunk), chunk.hasMore]);
}

/** Buckets x (ops 1, 3, 5) and y (ops 2, 4), each op of a row of its own, written in three flushes. */
async function twoBuckets(world: World): Promise<number> {
  const table = await world.copiedTable();
  const row = (key: string, bucket: string) => put(table, key, '1', { buckets: [bucket] });
  await world.flush(2, row('a', 'x'), row('b', 'y'));
  await world.flush(2, row('c', 'x'));
  await world.flush(2, row('d', 'y'), row('e', 'x'));
  return (await world.committed(2)).opId;
}

async function readAll(world: World, checkpoint: number, bucket: string, limits: ReadLimits): Promise<number[]> {
  const ids: number[] = [];
  for (;;) {
    const [chunk] = await world.reader.readOps(checkpoint, [{ bucket, after: ids.at(-1) ?? 0 }], limits);
    if (chunk !== undefined) ids.push(...opIdsOf(chunk));
    if (chunk?.hasMore !== true) return ids;
  }
}

export function readingConformance(withWorld: WithWorld): void {
  const both: readonly BucketRequest[] = [
    { bucket: 'x', after: 0 },
    { bucket: 'y', after: 0 },
  ];

  test('ranges are exclusive at the start and inclusive at the checkpoint', () =>
    withWorld(async (world) => {
      await twoBuckets(world);
      const read = async (after: number, upTo: number) =>
        shape(await world.reader.readOps(upTo, [{ bucket: 'x', after }], UNLIMITED)).flatMap(([, ids]) => ids);
      expect(await read(0, 5)).toEqual([1, 3, 5]);
      expect(await read(1, 5)).toEqual([3, 5]);
      expect(await read(2, 4)).toEqual([3]);
      expect(await read(0, 1)).toEqual([1]);
      expect(await read(3, 3)).toEqual([]);
      expect(await read(5, 5)).toEqual([]);
      expect(await read(9, 5)).toEqual([]);
    }));

  test('ranges cut runs that were written together', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, ...Array.from({ length: 500 }, (_, i) => put(table, `${i}`, 'x'.repeat(200))));
      for (const [after, upTo] of [
        [0, 500],
        [99, 101],
        [250, 250],
        [137, 412],
        [499, 500],
      ] as const) {
        const chunks = await world.reader.readOps(upTo, [{ bucket: 'all', after }], UNLIMITED);
        const expected = Array.from({ length: upTo - after }, (_, i) => after + 1 + i);
        expect(chunks.flatMap(opIdsOf)).toEqual(expected);
      }
    }));

  test('hasMore is right when the limit hits inside a bucket, at its edge, and over several', () =>
    withWorld(async (world) => {
      const upTo = await twoBuckets(world);
      const read = async (ops: number) => shape(await world.reader.readOps(upTo, both, { ops, bytes: 1e6 }));
      expect(await read(2)).toEqual([['x', [1, 3], true]]);
      expect(await read(3)).toEqual([['x', [1, 3, 5], false]]);
      expect(await read(4)).toEqual([
        ['x', [1, 3, 5], false],
        ['y', [2], true],
      ]);
      expect(await read(5)).toEqual([
        ['x', [1, 3, 5], false],
        ['y', [2, 4], false],
      ]);
    }));

  test('buckets come in the order asked for; unknown and exhausted ones are left out', () =>
    withWorld(async (world) => {
      const upTo = await twoBuckets(world);
      const requests = [
        { bucket: 'y', after: 2 },
        { bucket: 'none', after: 0 },
        { bucket: 'x', after: 5 },
        { bucket: 'x', after: 1 },
      ];
      expect(shape(await world.reader.readOps(upTo, requests, UNLIMITED))).toEqual([
        ['y', [4], false],
        ['x', [3, 5], false],
      ]);
    }));

  test('the byte limit splits chunks, and one oversized op still goes out', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const big = 'x'.repeat(100_000);
      await world.transaction(2, put(table, 'a', big), put(table, 'b', big), put(table, 'c', '1'));
      const upTo = (await world.checkpoint()).opId;
      const read = (bytes: number) => world.reader.readOps(upTo, [{ bucket: 'all', after: 0 }], { ops: 10, bytes });
      expect(shape(await read(1))).toEqual([['all', [1], true]]);
      expect(shape(await read(100_500))).toEqual([['all', [1, 2], true]]);
      expect(shape(await read(1e6))).toEqual([['all', [1, 2, 3], false]]);
    }));

  test('reading in parts gives what reading at once gives', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      for (let flush = 0; flush < 5; flush++) {
        const rows = Array.from({ length: 100 + flush }, (_, i) =>
          put(table, `${flush}.${i}`, 'x'.repeat(i * 7), { buckets: i % 3 === 0 ? ['x', 'y'] : ['x'] }),
        );
        await world.flush(2, ...rows);
      }
      const { opId } = await world.committed(2);
      const whole = await readAll(world, opId, 'x', UNLIMITED);
      expect(whole).toHaveLength(510);
      expect(await readAll(world, opId, 'x', { ops: 7, bytes: 1e9 })).toEqual(whole);
      expect(await readAll(world, opId, 'x', { ops: 1e6, bytes: 999 })).toEqual(whole);
    }));

  test('many buckets of all sizes in one call give what each of them gives alone', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      // Of 160 buckets: flushes that write to it, and bytes of a row.
      const shapes = [
        [1, 10],
        [1, 10],
        [2, 10],
        [0, 0],
        [7, 500],
        [1, 20_000],
      ] as const;
      const buckets = Array.from({ length: 160 }, (_, i) => {
        const [flushes, bytes] = i === 70 ? ([9, 30_000] as const) : (shapes[i < 100 ? i % 2 : i % 6] ?? shapes[0]);
        return { bucket: `b${i}`, flushes, bytes };
      });
      for (let flush = 0; flush < 9; flush++) {
        const written = buckets.filter(({ flushes }) => flushes > flush);
        const row = ({ bucket, bytes }: (typeof buckets)[number]) =>
          put(table, `${bucket}.${flush}`, 'x'.repeat(bytes), { buckets: [bucket] });
        await world.flush(2, ...written.map(row));
      }
      const { opId } = await world.committed(2);
      await world.flush(
        3,
        ...buckets.slice(0, 120).map(({ bucket }) => put(table, `${bucket}.9`, 'y', { buckets: [bucket] })),
      );
      for (const after of [0, 150, opId - 60]) {
        const requests = buckets.map(({ bucket }) => ({ bucket, after }));
        const alone = await Promise.all(requests.map((request) => world.reader.readOps(opId, [request], UNLIMITED)));
        expect(shape(await world.reader.readOps(opId, requests, UNLIMITED))).toEqual(shape(alone.flat()));
        const some = shape(await world.reader.readOps(opId, requests, { ops: 77, bytes: 1e9 }));
        expect(some.flatMap(([, ids]) => ids)).toEqual(alone.flat().flatMap(opIdsOf).slice(0, 77));
      }
    }));

  test('bodies stay what they were while more is written and read', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const { opId } = await world.transaction(2, put(table, 'a', '1'), put(table, 'b', '2'));
      const bodies = await world.bodies('all', opId);
      const copies = bodies.map((body) => Buffer.from(body).toString('hex'));
      for (let i = 0; i < 20; i++) {
        await world.transaction(3 + i, ...Array.from({ length: 50 }, (_, j) => put(table, `${j}`, `${i}`)));
        await world.bodies('all', opId + i * 50);
      }
      expect(bodies.map((body) => Buffer.from(body).toString('hex'))).toEqual(copies);
    }));

  test('bodies stay what they were in memory that is given for them, until it is cleared', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const rows = Array.from({ length: 300 }, (_, i) => put(table, `${i}`, `${i}.`.repeat(1 + (i % 70) ** 2)));
      const { opId } = await world.transaction(2, ...rows);
      const memory = new ReadMemory();
      const bodiesAfter = async (after: number, into?: ReadMemory) => {
        const chunks = await world.reader.readOps(opId, [{ bucket: 'all', after }], { ops: 100, bytes: 1e9 }, into);
        return chunks.flatMap(({ slices }) => [...eachOp(slices)].map(({ body }) => body));
      };
      const hex = (bodies: readonly Uint8Array[]) => bodies.map((body) => Buffer.from(body).toString('hex'));
      for (let round = 0; round < 3; round++) {
        memory.clear();
        const kept = [await bodiesAfter(0, memory), await bodiesAfter(100, memory), await bodiesAfter(200, memory)];
        await world.reader.bucketSums(opId, ['all']);
        for (const [index, bodies] of kept.entries()) {
          expect(bodies).toHaveLength(100);
          expect(hex(bodies)).toEqual(hex(await bodiesAfter(100 * index)));
        }
      }
    }));

  test('nothing behind the checkpoint is read or summed, however much was written since', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const old = await world.transaction(2, put(table, 'a', '1'), put(table, 'b', '1'));
      const sums = await world.reader.bucketSums(old.opId, ['all']);
      for (let i = 0; i < 5; i++) await world.flush(3, put(table, 'a', `${i}`), put(table, `n${i}`, 'x'));
      expect(await world.reader.bucketSums(old.opId, ['all'])).toEqual(sums);
      await world.committed(3);
      await world.transaction(4, remove(table, 'b'));
      expect(await world.reader.bucketSums(old.opId, ['all'])).toEqual(sums);
      expect(await world.rows('all', old.opId)).toEqual({ a: '1', b: '1' });
    }));

  test('sums stay right far behind the head, while more is written', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const row = (i: number) => put(table, `${i}`, 'x'.repeat(1500));
      const { opId } = await world.transaction(2, ...Array.from({ length: 10 }, (_, i) => row(i)));
      const expected = await world.reader.bucketSums(opId, ['all']);
      await world.flush(3, ...Array.from({ length: 3_000 }, (_, i) => row(10 + i)));
      const [sums, again] = await Promise.all([
        world.reader.bucketSums(opId, ['all']),
        world.storage.reader(world.stream.id).bucketSums(opId, ['all']),
        world.flush(3, ...Array.from({ length: 500 }, (_, i) => row(5_000 + i))),
      ]);
      expect([sums, again]).toEqual([expected, expected]);
      expect(await world.reader.bucketSums(opId + 2_001, ['all'])).toMatchObject([{ count: 2_011 }]);
    }));

  test('sums are those of the ops, for many buckets in one call, zero for unknown ones', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const rows = Array.from({ length: 300 }, (_, i) => put(table, `${i}`, `${i}`, { buckets: [`b${i % 10}`] }));
      await world.flush(2, ...rows);
      await world.flush(2, ...rows.slice(0, 55).map(({ key }) => remove(table, key)));
      const { opId } = await world.committed(2);
      const names = ['b3', 'none', ...Array.from({ length: 10 }, (_, i) => `b${i}`)];
      for (const upTo of [opId, 0, 1, 150, 299, 300, 301, opId - 1]) {
        const expected = await Promise.all(
          names.map(async (bucket) => {
            const bodies = await world.bodies(bucket, upTo);
            const checksum = bodies.reduce((sum, body) => (sum + Buffer.from(body).readInt32LE(10)) | 0, 0);
            return { bucket, checksum, count: bodies.length };
          }),
        );
        expect(await world.reader.bucketSums(upTo, names)).toEqual(expected);
      }
    }));

  test('changes name at least the buckets and lookups that changed in the range', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const first = await world.transaction(2, put(table, 'a', '1', { buckets: ['x'], lookups: { l: '[1]' } }));
      const second = await world.transaction(3, put(table, 'b', '1', { buckets: ['y'] }));
      const third = await world.transaction(4, put(table, 'a', '1', { buckets: ['x'], lookups: { m: '[2]' } }));
      const changes = await world.reader.changes(first.opId, third.opId);
      expect(changes.buckets === 'all' || (changes.buckets.has('x') && changes.buckets.has('y'))).toBe(true);
      expect(changes.lookups === 'all' || (changes.lookups.has('l') && changes.lookups.has('m'))).toBe(true);
      expect(await world.reader.changes(first.opId, second.opId)).toEqual({
        buckets: new Set(['y']),
        lookups: new Set(),
      });
      expect(await world.reader.changes(third.opId, third.opId)).toEqual({ buckets: new Set(), lookups: new Set() });
    }));

  test('changes of more buckets than can be named are not under-reported', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const first = await world.committed(2);
      const buckets = Array.from({ length: 3000 }, (_, i) => `b${i}`);
      const second = await world.transaction(3, put(table, 'a', '1', { buckets }));
      const { buckets: changed } = await world.reader.changes(first.opId, second.opId);
      expect(changed === 'all' || buckets.every((bucket) => changed.has(bucket))).toBe(true);
    }));

  test('bucket names of all kinds and lengths are told apart', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const long = 'n'.repeat(3000);
      const names = ['a', 'a\0', 'ab', '1#mine["é"]', `${long}1`, `${long}2`, '"', ' '];
      const rows = names.map((name, i) => put(table, `${i}`, `${i}`, { buckets: [name] }));
      await world.transaction(2, ...rows);
      for (const [i, name] of names.entries()) expect(await world.rows(name)).toEqual({ [`${i}`]: `${i}` });
    }));

  test('a stream that was never written to answers', () =>
    withWorld(async (world) => {
      expect(await world.reader.checkpoint()).toBeNull();
      expect(await world.reader.readOps(0, both, UNLIMITED)).toEqual([]);
      expect(await world.reader.bucketSums(0, ['x'])).toEqual([{ bucket: 'x', checksum: 0, count: 0 }]);
      expect(await world.reader.lookups(0, ['l'])).toEqual([[]]);
      expect(await world.reader.changes(0, 0)).toEqual({ buckets: new Set(), lookups: new Set() });
      expect((await world.reader.checkpointState()).snapshotDone).toBe(false);
      expect(await world.reader.tables()).toEqual([]);
      expect(await world.reader.tasks()).toEqual([]);
      expect((await world.writer.commit(at(1))).kind).toBe('blocked');
    }));
}

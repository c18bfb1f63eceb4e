/**
 * Clients of a process share reads, sums and wakes. Whatever order commits, slow readers, new and lost connections come in:
 * at each completion a client holds every op of its buckets exactly once, as many as it was told there are.
 */
import { eachOp } from '@sluice/storage';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { BucketEntry, Line } from './protocol.ts';
import { StreamWorld, type TestConnection } from './stream-world.ts';

const BUCKETS = ['shared', 'a', 'b', 'c', 'd'];

/** What a client makes of its lines. */
class Replica {
  readonly connection: TestConnection;
  completions = 0;
  /** Of the last checkpoint that was completed. */
  opId = -1;
  readonly #told = new Map<string, BucketEntry>();
  readonly #ops = new Map<string, number[]>();

  constructor(connection: TestConnection) {
    this.connection = connection;
  }

  async take(lines: number): Promise<void> {
    for (let taken = 0; taken < lines; taken++) {
      const line = await this.connection.next();
      if (line === null) return;
      this.#apply(line);
    }
  }

  #apply(line: Line): void {
    if ('checkpoint' in line) {
      this.#told.clear();
      for (const entry of line.checkpoint.buckets) this.#told.set(entry.bucket, entry);
    } else if ('checkpoint_diff' in line) {
      const { updated_buckets: updated, removed_buckets: removed } = line.checkpoint_diff;
      for (const entry of updated) this.#told.set(entry.bucket, entry);
      for (const bucket of removed) {
        this.#told.delete(bucket);
        this.#ops.delete(bucket);
      }
    } else if ('data' in line) {
      const opIds = [...eachOp(line.data.slices)].map(({ opId }) => opId);
      this.#ops.set(line.data.bucket, [...(this.#ops.get(line.data.bucket) ?? []), ...opIds]);
    } else if ('checkpoint_complete' in line) {
      this.completions++;
      this.opId = Number(line.checkpoint_complete.last_op_id);
      for (const [bucket, { count }] of this.#told) {
        const held = this.#ops.get(bucket) ?? [];
        expect([bucket, held.length]).toEqual([bucket, count]);
        expect(held).toEqual([...new Set(held)].toSorted((a, b) => a - b));
      }
    }
  }
}

const rows = fc.record({
  do: fc.constant('commit' as const),
  buckets: fc.array(fc.constantFrom(...BUCKETS), { maxLength: 4 }),
  each: fc.integer({ min: 1, max: 4 }),
  isKnown: fc.integer({ min: 0, max: 9 }).map((n) => n > 1),
});
const member = fc.record({
  do: fc.constant('member' as const),
  user: fc.constantFrom('u0', 'u1', 'u2'),
  buckets: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 3 }),
});
const connect = fc.record({
  do: fc.constant('connect' as const),
  user: fc.constantFrom('u0', 'u1', 'u2'),
  opsPerLine: fc.constantFrom(1, 2, 1_000),
});
const take = fc.record({
  do: fc.constant('take' as const),
  client: fc.nat({ max: 5 }),
  lines: fc.integer({ min: 1, max: 6 }),
});
const leave = fc.record({ do: fc.constant('leave' as const), client: fc.nat({ max: 5 }) });
const pass = fc.record({ do: fc.constant('pass' as const), turns: fc.integer({ min: 1, max: 20 }) });
const steps = fc.array(
  fc.oneof(
    { arbitrary: rows, weight: 6 },
    { arbitrary: take, weight: 6 },
    { arbitrary: pass, weight: 3 },
    { arbitrary: connect, weight: 2 },
    { arbitrary: member, weight: 2 },
    { arbitrary: leave, weight: 1 },
  ),
  { minLength: 10, maxLength: 60 },
);

it('holds for random walks', async () => {
  let completions = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (walk) => {
      const world = await StreamWorld.start([{ bucket: 'shared', priority: 1 }]);
      const replicas: Replica[] = [];
      const taking = new Map<Replica, Promise<void>>();
      const failures: unknown[] = [];
      /** One after the other for each client, beside everything else. */
      const begin = (replica: Replica, lines: number) => {
        const before = taking.get(replica) ?? Promise.resolve();
        taking.set(
          replica,
          before.then(() => replica.take(lines)).catch((error) => void failures.push(error)),
        );
      };
      await world.commit(1, world.rows('shared', 1, 2));
      await world.settle();
      let at = 1;
      let row = 0;
      for (const step of walk) {
        const replica = 'client' in step ? replicas[step.client] : undefined;
        if (step.do === 'commit') {
          const written = step.buckets.flatMap((bucket) =>
            Array.from({ length: step.each }, () => ({ bucket, id: `${row++}`, value: 'x' })),
          );
          world.knowsChanges = step.isKnown;
          await world.commit(++at, written);
        } else if (step.do === 'member') {
          const value = JSON.stringify(step.buckets.map((bucket) => ({ bucket })));
          await world.commit(++at, [], [{ key: `of:${step.user}`, value }]);
        } else if (step.do === 'connect' && replicas.length < 6) {
          replicas.push(new Replica(world.connect(step.user, { opsPerLine: step.opsPerLine, interruptAfterOps: 3 })));
        } else if (step.do === 'pass') {
          for (let turn = 0; turn < step.turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        } else if (step.do === 'take' && replica !== undefined) begin(replica, step.lines);
        else if (step.do === 'leave') replica?.connection.disconnect();
      }
      for (const replica of replicas) begin(replica, 10_000);
      await world.commit(++at, [...world.rows('shared', 900, 900), ...world.rows('a', 900, 900)]);
      const newest = await world.storage.reader(world.version.stream.id).checkpoint();
      await world.until(() => replicas.every(({ connection, opId }) => connection.ended || opId === newest?.opId));
      await world.stop();
      await Promise.all(taking.values());
      expect(failures).toEqual([]);
      for (const { connection, completions: own } of replicas) {
        expect(connection.error).toBeNull();
        completions += own;
      }
    }),
    { numRuns: 300 },
  );
  expect(completions).toBeGreaterThan(500);
});

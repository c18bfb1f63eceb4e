/**
 * Clients of a process share reads, sums and wakes. Whatever order commits, slow readers, a slow storage, new and lost
 * connections come in: at each completion a client holds every op of its buckets exactly once, as many as it was told there
 * are; and in the end it holds all that was committed, though nothing more happens that could wake it.
 */
import { eachOp } from '@sluice/storage';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { BucketEntry, Line } from './protocol.ts';
import { StreamWorld, type TestConnection } from './stream-world.ts';

const BUCKETS = ['shared', 'a', 'b', 'c', 'd'];

/** What a client makes of its lines. */
class Replica {
  readonly user: string;
  readonly connection: TestConnection;
  completions = 0;
  readonly #told = new Map<string, BucketEntry>();
  readonly #ops = new Map<string, number[]>();

  constructor(user: string, connection: TestConnection) {
    this.user = user;
    this.connection = connection;
  }

  /** How many ops it holds of each bucket that it was told of. */
  get held(): Record<string, number> {
    return Object.fromEntries([...this.#told.keys()].map((bucket) => [bucket, this.#ops.get(bucket)?.length ?? 0]));
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
const pass = fc.record({
  do: fc.constant('pass' as const),
  turns: fc.integer({ min: 1, max: 20 }),
  ms: fc.constantFrom(0, 0, 250),
});
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

/** Turns that answers of storage take, one after the other, and again from the first. */
const delays = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 20, max: 40 })), {
  minLength: 1,
  maxLength: 8,
});

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** What was committed. */
class Written {
  readonly #ops = new Map<string, number>();
  readonly #members = new Map<string, readonly string[]>();
  #row = 0;

  rows(buckets: readonly string[], each: number): { bucket: string; id: string; value: string }[] {
    return buckets.flatMap((bucket) => {
      this.#ops.set(bucket, (this.#ops.get(bucket) ?? 0) + each);
      return Array.from({ length: each }, () => ({ bucket, id: `${this.#row++}`, value: 'x' }));
    });
  }

  member(user: string, buckets: readonly string[]): { key: string; value: string } {
    this.#members.set(user, buckets);
    return { key: `of:${user}`, value: JSON.stringify(buckets.map((bucket) => ({ bucket }))) };
  }

  isHeldBy({ user, held }: Replica): boolean {
    const own = ['shared', ...(this.#members.get(user) ?? [])];
    return Object.keys(held).length === own.length && own.every((name) => held[name] === (this.#ops.get(name) ?? 0));
  }
}

it('holds for random walks', async () => {
  let completions = 0;
  await fc.assert(
    fc.asyncProperty(steps, delays, async (walk, slowness) => {
      const world = await StreamWorld.start([{ bucket: 'shared', priority: 1 }]);
      const written = new Written();
      const replicas = new Set<Replica>();
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
      await world.commit(1, written.rows(['shared'], 2));
      await world.settle();
      let answers = 0;
      world.hindrance = () => turns(slowness[answers++ % slowness.length] ?? 0);
      let at = 1;
      for (const step of walk) {
        const replica = 'client' in step ? [...replicas][step.client] : undefined;
        if (step.do === 'commit') {
          world.knowsChanges = step.isKnown;
          await world.commit(++at, written.rows(step.buckets, step.each));
        } else if (step.do === 'member') await world.commit(++at, [], [written.member(step.user, step.buckets)]);
        else if (step.do === 'connect' && replicas.size < 6) {
          const connection = world.connect(step.user, { opsPerLine: step.opsPerLine, interruptAfterOps: 3 });
          replicas.add(new Replica(step.user, connection));
        } else if (step.do === 'pass') {
          world.clock.advance(step.ms);
          await turns(step.turns);
        } else if (step.do === 'take' && replica !== undefined) begin(replica, step.lines);
        else if (step.do === 'leave' && replica !== undefined) {
          replica.connection.disconnect();
          replicas.delete(replica);
        }
      }
      for (const replica of replicas) begin(replica, 10_000);
      await world.until(() => failures.length > 0 || [...replicas].every((replica) => written.isHeldBy(replica)));
      await world.stop();
      await Promise.all(taking.values());
      expect(failures).toEqual([]);
      for (const { connection, completions: own } of taking.keys()) {
        expect(connection.error).toBeNull();
        completions += own;
      }
    }),
    { numRuns: 300 },
  );
  expect(completions).toBeGreaterThan(500);
});

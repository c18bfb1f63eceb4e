import type { BucketSum } from '@sluice/storage';
import { describe, expect, it } from 'vitest';
import type { Membership } from './checkpoint-diff.ts';
import { ClientState } from './client-state.ts';
import type { BucketEntry, CheckpointDiffLine, CheckpointLine } from './protocol.ts';

function member(bucket: string, priority = 3): Membership {
  return { bucket, priority, reasons: [{ default: 0 }] };
}

function sums(...entries: [bucket: string, checksum: number, count: number][]): Map<string, BucketSum> {
  return new Map(entries.map(([bucket, checksum, count]) => [bucket, { bucket, checksum, count }]));
}

/** What a client makes of the lines. */
function applied(
  before: Map<string, BucketEntry>,
  line: CheckpointLine | CheckpointDiffLine,
): Map<string, BucketEntry> {
  if ('checkpoint' in line) return new Map(line.checkpoint.buckets.map((bucket) => [bucket.bucket, bucket]));
  const after = new Map(before);
  for (const bucket of line.checkpoint_diff.updated_buckets) after.set(bucket.bucket, bucket);
  for (const bucket of line.checkpoint_diff.removed_buckets) after.delete(bucket);
  return after;
}

describe('the state of a client', () => {
  it('starts with a checkpoint, even an empty one, and then says only what changed', () => {
    const state = new ClientState(new Map());
    expect(state.tell({ opId: 0, writeCheckpoint: null, membership: [], sums: new Map() }, [])).toEqual({
      checkpoint: { last_op_id: '0', buckets: [], streams: [] },
    });
    state.complete();
    expect(state.tell({ opId: 9, writeCheckpoint: null, membership: [], sums: new Map() }, [])).toBeNull();
    expect(state.opId).toBe(0);
  });

  it('repeats the write checkpoint, and says it alone', () => {
    const state = new ClientState(new Map());
    const membership = [member('a')];
    state.tell({ opId: 1, writeCheckpoint: null, membership, sums: sums(['a', 5, 1]) }, []);
    state.complete();
    expect(state.tell({ opId: 1, writeCheckpoint: 7n, membership: null, sums: new Map() }, [])).toEqual({
      checkpoint_diff: { last_op_id: '1', write_checkpoint: '7', updated_buckets: [], removed_buckets: [] },
    });
    state.complete();
    expect(state.tell({ opId: 2, writeCheckpoint: 7n, membership: null, sums: sums(['a', 6, 2]) }, [])).toMatchObject({
      checkpoint_diff: { write_checkpoint: '7', updated_buckets: [{ bucket: 'a', checksum: 6, count: 2 }] },
    });
  });

  it('always follows an unfinished checkpoint by another, though nothing else changed', () => {
    const state = new ClientState(new Map());
    state.tell({ opId: 5, writeCheckpoint: null, membership: [member('a')], sums: sums(['a', 5, 5]) }, []);
    state.sent('a', 2);
    expect(state.tell({ opId: 6, writeCheckpoint: null, membership: null, sums: new Map() }, [])).not.toBeNull();
    expect(state.owed()).toEqual([{ bucket: 'a', priority: 3, after: 2 }]);
  });

  it('owes by priority, and nothing for what the client holds or what is empty', () => {
    const state = new ClientState(
      new Map([
        ['held', 10],
        ['beyond', 99],
        ['part', 4],
      ]),
    );
    const membership = ['low', 'part', 'held', 'beyond', 'empty'].map((name) => member(name));
    membership.push(member('high', 0));
    const all = membership.map((each): [string, number, number] => [each.bucket, 1, each.bucket === 'empty' ? 0 : 1]);
    state.tell({ opId: 10, writeCheckpoint: null, membership, sums: sums(...all) }, []);
    expect(state.owed()).toEqual([
      { bucket: 'high', priority: 0, after: 0 },
      { bucket: 'low', priority: 3, after: 0 },
      { bucket: 'part', priority: 3, after: 4 },
    ]);
    state.complete();
    expect(state.owed()).toEqual([]);
  });

  it('starts a bucket again at 0 after the client had to drop it', () => {
    const state = new ClientState(
      new Map([
        ['a', 3],
        ['stranger', 8],
      ]),
    );
    const a = [member('a')];
    state.tell({ opId: 5, writeCheckpoint: null, membership: a, sums: sums(['a', 1, 3]) }, []);
    state.complete();
    expect(state.tell({ opId: 6, writeCheckpoint: null, membership: [], sums: new Map() }, [])).toMatchObject({
      checkpoint_diff: { removed_buckets: ['a'], updated_buckets: [] },
    });
    state.complete();
    const both = [member('a'), member('stranger')];
    state.tell({ opId: 7, writeCheckpoint: null, membership: both, sums: sums(['a', 1, 3], ['stranger', 2, 1]) }, []);
    expect(state.owed().map((owed) => owed.after)).toEqual([0, 0]);
  });

  it('tells of a changed priority or reason', () => {
    const state = new ClientState(new Map());
    const target = { writeCheckpoint: null, sums: sums(['a', 1, 1]) };
    state.tell({ opId: 1, membership: [member('a')], ...target }, []);
    state.complete();
    expect(state.tell({ opId: 2, membership: [member('a')], ...target }, [])).toBeNull();
    expect(state.tell({ opId: 3, membership: [member('a', 1)], ...target }, [])).not.toBeNull();
    state.complete();
    const reasons = [{ default: 0 }, { sub: 2 }];
    expect(state.tell({ opId: 4, membership: [{ bucket: 'a', priority: 1, reasons }], ...target }, [])).toMatchObject({
      checkpoint_diff: { updated_buckets: [{ bucket: 'a', subscriptions: reasons }] },
    });
  });

  it('says diffs that lead to what a full checkpoint would say (random walks)', () => {
    let seed = 42;
    const random = (bound: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return (seed >> 8) % bound;
    };
    for (let walk = 0; walk < 200; walk++) {
      const state = new ClientState(new Map());
      let client = new Map<string, BucketEntry>();
      const truth = new Map<string, Membership & { checksum: number; count: number }>();
      for (let step = 0; step < 20; step++) {
        const changed = new Set<string>();
        for (let edit = 0; edit < random(4); edit++) {
          const bucket = `b${random(6)}`;
          if (random(3) === 0) truth.delete(bucket);
          else truth.set(bucket, { ...member(bucket, random(4)), checksum: random(50), count: random(9) + 1 });
          changed.add(bucket);
        }
        const membership = [...truth.values()].map(({ bucket, priority, reasons }) => ({ bucket, priority, reasons }));
        const fresh = [...truth.values()].filter((each) => changed.has(each.bucket) || !state.buckets.has(each.bucket));
        const line = state.tell(
          {
            opId: step,
            writeCheckpoint: null,
            membership,
            sums: sums(...fresh.map((each): [string, number, number] => [each.bucket, each.checksum, each.count])),
          },
          [],
        );
        if (line !== null) client = applied(client, line);
        state.complete();
        const wanted = [...truth.values()].map(({ bucket, priority, reasons, checksum, count }) => ({
          bucket,
          checksum,
          count,
          priority,
          subscriptions: reasons,
        }));
        expect([...client.values()].sort(byName)).toEqual(wanted.sort(byName));
      }
    }
  });
});

function byName(a: { bucket: string }, b: { bucket: string }): number {
  return a.bucket < b.bucket ? -1 : 1;
}

/** What a checkpoint costs: counted in calls to storage, for connections it concerns and for those it does not. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StreamWorld, type TestConnection } from './stream-world.ts';
import { writeCheckpointUser } from './write-checkpoints.ts';

const CLIENTS = 1000;

let world: StreamWorld;
let clients: TestConnection[];

beforeEach(async () => {
  world = await StreamWorld.start([{ bucket: 'all' }]);
  await world.commit(
    1,
    [
      ...world.rows('all', 1, 3),
      ...Array.from({ length: CLIENTS }, (_, index) => ({ bucket: `own-${index}`, id: '1', value: 'x' })),
    ],
    Array.from({ length: CLIENTS }, (_, index) => ({ key: `of:user${index}`, value: `[{"bucket":"own-${index}"}]` })),
  );
  clients = Array.from({ length: CLIENTS }, (_, index) => world.connect(`user${index}`).drain());
  await world.settle();
  for (const client of clients) expect(client.take().at(-1)).toMatch(/^complete/);
  world.calls.clear();
  world.lookupKeys.length = 0;
});
afterEach(() => world.stop());

const told = () => clients.map((client) => client.take()).filter((lines) => lines.length > 0);

describe(`a checkpoint with ${CLIENTS} connections`, () => {
  it('costs the ones it does not concern nothing: its changes are read once, for all', async () => {
    for (let at = 2; at < 12; at++) {
      await world.commit(at, world.rows('of-nobody', at, at));
      await world.settle();
    }
    expect(told()).toEqual([]);
    expect(Object.fromEntries(world.calls)).toEqual({ changes: 10 });
  });

  it('is two reads for all of them when it brings each of them one row', async () => {
    await world.commit(
      2,
      Array.from({ length: CLIENTS }, (_, index) => ({ bucket: `own-${index}`, id: '2', value: 'y' })),
    );
    await world.settle();
    expect(told()).toHaveLength(CLIENTS);
    expect(Object.fromEntries(world.calls)).toEqual({ changes: 1, bucketSums: 1, readOps: 1 });
  });

  it('is two reads when it brings one row to all of them', async () => {
    await world.commit(2, world.rows('all', 9, 9));
    await world.settle();
    const lines = told();
    expect(lines).toHaveLength(CLIENTS);
    expect(new Set(lines.map((each) => each.join('; '))).size).toBe(1);
    expect(Object.fromEntries(world.calls)).toEqual({ changes: 1, bucketSums: 1, readOps: 1 });
  });

  it('is two reads however long ago the last news of each were', async () => {
    const latecomer = world.connect('user1').drain();
    for (let at = 2; at < 80; at++) {
      if (at % 20 === 0) await world.commit(at, [{ bucket: `own-${at}`, id: '2', value: 'z' }]);
      else await world.commit(at, world.rows('of-nobody', at, at));
      await world.settle();
    }
    told();
    latecomer.take();
    world.calls.clear();
    await world.commit(80, [
      ...world.rows('all', 9, 9),
      ...Array.from({ length: CLIENTS }, (_, index) => ({ bucket: `own-${index}`, id: '2', value: 'y' })),
    ]);
    await world.settle();
    expect(told()).toHaveLength(CLIENTS);
    expect(latecomer.take()).toHaveLength(4);
    expect(Object.fromEntries(world.calls)).toEqual({ changes: 1, bucketSums: 1, readOps: 2 });
  });

  it('is complete at the first connections before the last ones are woken', async () => {
    await world.commit(2, world.rows('all', 9, 9));
    const completed = () => clients.filter(({ lines }) => lines.length === 3).length;
    await world.until(() => completed() > 0);
    expect(completed()).toBeLessThan(CLIENTS / 2);
    expect(clients.filter(({ lines }) => lines.length > 0).length).toBeLessThan(CLIENTS / 2);
    await world.settle();
    expect(completed()).toBe(CLIENTS);
  });

  it('breaks no stream when a read for all of them fails: each reads for itself', async () => {
    let failures = 2;
    world.hindrance = async (call) => {
      if ((call === 'readOps' || call === 'bucketSums') && failures-- > 0) throw new Error('storage is away');
    };
    await world.commit(
      2,
      Array.from({ length: CLIENTS }, (_, index) => ({ bucket: `own-${index}`, id: '2', value: 'y' })),
    );
    await world.settle();
    expect(told()).toHaveLength(CLIENTS);
    expect(clients.filter(({ ended }) => ended)).toEqual([]);
  });

  it('does not let a read for all of them keep connections asleep', async () => {
    let release = () => {};
    world.hindrance = (call) =>
      call === 'readOps' ? new Promise((resolve) => (release = resolve)) : Promise.resolve();
    await world.commit(2, [{ bucket: 'own-3', id: '2', value: 'y' }]);
    await world.settle();
    expect(told()).toEqual([]);
    world.clock.advance(250);
    await world.settle();
    expect(told()).toEqual([[expect.stringMatching(/^diff .*own-3:2/)]]);
    release();
    await world.settle();
    expect(told()).toEqual([[expect.stringMatching(/^data own-3/), expect.stringMatching(/^complete/)]]);
    expect(world.calls.get('readOps')).toBe(1);
  });

  it('is read once, too, when storage is slow with all of it: who is awake by then joins the reads under way', async () => {
    const releases: (() => void)[] = [];
    world.hindrance = (call) =>
      call === 'readOps' || call === 'bucketSums'
        ? new Promise((resolve) => releases.push(resolve))
        : Promise.resolve();
    await world.commit(
      2,
      Array.from({ length: CLIENTS }, (_, index) => ({ bucket: `own-${index}`, id: '2', value: 'y' })),
    );
    await world.settle();
    world.clock.advance(250);
    await world.settle();
    expect(told()).toEqual([]);
    while (releases.length > 0) {
      releases.pop()?.();
      await world.settle();
    }
    expect(told()).toHaveLength(CLIENTS);
    expect(Object.fromEntries(world.calls)).toEqual({ changes: 1, bucketSums: 1, readOps: 1 });
  });

  it('goes on for the others when some are gone while it is read for them', async () => {
    let release = () => {};
    world.hindrance = (call) =>
      call === 'readOps' ? new Promise((resolve) => (release = resolve)) : Promise.resolve();
    await world.commit(2, world.rows('all', 9, 9));
    await world.settle();
    for (const client of clients.slice(0, 500)) client.disconnect();
    release();
    await world.settle();
    expect(told()).toHaveLength(CLIENTS - 500);
    expect(world.version.feed.connections).toBe(CLIENTS - 500);
  });

  it('resolves buckets again only for those whose lookups changed', async () => {
    await world.commit(2, [], [{ key: 'of:user7', value: '[{"bucket":"own-7"},{"bucket":"more"}]' }]);
    await world.settle();
    expect(world.calls.get('lookups')).toBe(1);
    expect(world.lookupKeys).toEqual(['of:user7']);
    expect(told()).toEqual([[expect.stringMatching(/^diff .*more:0/), expect.stringMatching(/^complete/)]]);
  });

  it('finds what other processes stored in one look, and wakes only whom it is for', async () => {
    const user = writeCheckpointUser('user3', null);
    await world.storage.createWriteCheckpoint(user, '00000002');
    await world.commit(2, []);
    world.clock.advance(1_000);
    await world.settle();
    expect(told()).toEqual([[expect.stringMatching(/^diff .* wc 1$/), expect.stringMatching(/^complete/)]]);
    expect(Object.fromEntries(world.calls)).toEqual({ writeCheckpoints: 1 });
  });
});

it('reads the sums of a bucket once, however many checkpoints pass that do not change it', async () => {
  await world.commit(2, world.rows('of-nobody', 1, 1));
  await world.commit(3, world.rows('of-nobody', 2, 2));
  await world.settle();
  world.calls.clear();
  world.connect('user5').drain();
  await world.settle();
  expect(world.calls.get('bucketSums')).toBeUndefined();
});

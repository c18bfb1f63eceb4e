import { SluiceError } from '@sluice/core';
import { afterEach, describe, expect, it } from 'vitest';
import { StreamWorld } from './stream-world.ts';
import { WriteCheckpoints, writeCheckpointUser } from './write-checkpoints.ts';

const ANN = writeCheckpointUser('ann', null);
const PHONE = writeCheckpointUser('ann', 'phone');

const worlds: StreamWorld[] = [];

async function world(buckets?: Parameters<typeof StreamWorld.start>[0]): Promise<StreamWorld> {
  const started = await StreamWorld.start(buckets);
  worlds.push(started);
  return started;
}

afterEach(async () => {
  for (const each of worlds.splice(0)) await each.stop();
});

describe('a stream', () => {
  it('waits for the first checkpoint, and completes an empty one', async () => {
    const it = await world();
    const client = it.connect('ann').drain();
    await it.settle();
    expect(client.take()).toEqual([]);
    await it.commit(1, []);
    await it.settle();
    expect(client.take()).toEqual(['checkpoint 0 []', 'complete 0']);
  });

  it('tells, sends, completes, and then only what changed', async () => {
    const it = await world([{ bucket: 'g' }, { bucket: 'h' }]);
    await it.commit(1, [...it.rows('g', 1, 2), ...it.rows('h', 1, 1)]);
    const client = it.connect('ann').drain();
    await it.settle();
    expect(client.take()).toEqual(['checkpoint 3 [g:2 h:1]', 'data g 1-2', 'data h 3-3', 'complete 3']);
    await it.commit(2, it.rows('h', 1, 1, 'y'));
    await it.settle();
    expect(client.take()).toEqual(['diff 4 [h:2]', 'data h 4-4', 'complete 4']);
  });

  it('says nothing of checkpoints that do not concern the client', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, it.rows('g', 1, 1));
    const client = it.connect('ann').drain();
    await it.settle();
    client.take();
    await it.commit(2, it.rows('of-others', 1, 5));
    await it.commit(3, []);
    await it.settle();
    expect(client.take()).toEqual([]);
    await it.commit(4, it.rows('g', 2, 2));
    await it.settle();
    expect(client.take()).toEqual(['diff 7 [g:2]', 'data g 7-7', 'complete 7']);
  });

  it('resumes behind what the client holds, even beyond its last op', async () => {
    const it = await world([{ bucket: 'g' }, { bucket: 'h' }]);
    await it.commit(1, [...it.rows('g', 1, 3), ...it.rows('h', 1, 2)]);
    const client = it
      .connect('ann', {
        body: {
          buckets: [
            { name: 'g', after: '2' },
            { name: 'h', after: '99' },
          ],
        },
      })
      .drain();
    await it.settle();
    expect(client.take()).toEqual(['checkpoint 5 [g:3 h:2]', 'data g 3-3', 'complete 5']);
    const current = it
      .connect('bob', {
        body: {
          buckets: [
            { name: 'g', after: '5' },
            { name: 'h', after: '5' },
          ],
        },
      })
      .drain();
    await it.settle();
    expect(current.take()).toEqual(['checkpoint 5 [g:3 h:2]', 'complete 5']);
  });

  it('never reveals buckets that are asked for and not granted', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, [...it.rows('g', 1, 1), ...it.rows('secret', 1, 3)]);
    const client = it.connect('ann', { body: { buckets: [{ name: 'secret', after: '0' }] } }).drain();
    await it.settle();
    await it.commit(2, it.rows('secret', 4, 4));
    await it.settle();
    expect(JSON.stringify(client.lines)).not.toContain('secret');
  });

  it('cuts long buckets into lines', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, it.rows('g', 1, 25));
    const client = it.connect('ann', { opsPerLine: 10 }).drain();
    await it.settle();
    expect(client.take()).toEqual([
      'checkpoint 25 [g:25]',
      'data g 1-10',
      'data g 11-20',
      'data g 21-25',
      'complete 25',
    ]);
  });

  it('chains the positions of a bucket from line to line', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, it.rows('g', 1, 25));
    const client = it.connect('ann', { opsPerLine: 10 }).drain();
    await it.settle();
    const data = client.lines.flatMap((line) => ('data' in line ? [line.data] : []));
    expect(data.map(({ after, nextAfter, hasMore }) => [after, nextAfter, hasMore])).toEqual([
      [0, 10, true],
      [10, 20, true],
      [20, 25, false],
    ]);
  });
});

describe('priorities', () => {
  it('send the important first, and say so between two that have data', async () => {
    const it = await world([
      { bucket: 'low', priority: 3 },
      { bucket: 'high', priority: 0 },
      { bucket: 'mid', priority: 1 },
    ]);
    await it.commit(1, [...it.rows('low', 1, 1), ...it.rows('mid', 1, 1), ...it.rows('high', 1, 1)]);
    const client = it.connect('ann').drain();
    await it.settle();
    expect(client.take().slice(1)).toEqual([
      'data high 3-3',
      'partial 0 3',
      'data mid 2-2',
      'partial 1 3',
      'data low 1-1',
      'complete 3',
    ]);
  });

  it('complete without a partial where nothing less important has data', async () => {
    const it = await world([
      { bucket: 'high', priority: 0 },
      { bucket: 'low', priority: 3 },
    ]);
    await it.commit(1, it.rows('high', 1, 1));
    const client = it.connect('ann', { body: { buckets: [{ name: 'low', after: '0' }] } }).drain();
    await it.settle();
    expect(client.take()).toEqual(['checkpoint 1 [high:1 low:0]', 'data high 1-1', 'complete 1']);
  });

  it('let an important change overtake a long download', async () => {
    const it = await world([
      { bucket: 'high', priority: 0 },
      { bucket: 'low', priority: 3 },
    ]);
    await it.commit(1, it.rows('low', 1, 3000));
    const client = it.connect('ann');
    for (let count = 0; count < 2; count++) await client.next();
    expect(client.take()).toEqual(['checkpoint 3000 [high:0 low:3000]', 'data low 1-1000']);
    await it.commit(2, it.rows('high', 1, 1));
    await it.settle();
    client.drain();
    await it.settle();
    expect(client.take()).toEqual([
      'diff 3001 [high:1]',
      'data high 3001-3001',
      'partial 0 3001',
      'data low 1001-2000',
      'data low 2001-3000',
      'complete 3001',
    ]);
  });

  it('do not put a completion off for changes that are no more important', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, it.rows('g', 1, 2500));
    const client = it.connect('ann');
    for (let count = 0; count < 2; count++) await client.next();
    await it.commit(2, it.rows('g', 1, 1, 'y'));
    await it.settle();
    client.drain();
    await it.settle();
    expect(client.take()).toEqual([
      'checkpoint 2500 [g:2500]',
      'data g 1-1000',
      'data g 1001-2000',
      'data g 2001-2500',
      'complete 2500',
      'diff 2501 [g:2501]',
      'data g 2501-2501',
      'complete 2501',
    ]);
  });

  it('leave a download for a lost bucket, and never send more of it', async () => {
    const it = await world();
    await it.commit(1, it.rows('big', 1, 3000), [{ key: 'of:ann', value: '[{"bucket":"big"}]' }]);
    const client = it.connect('ann');
    for (let count = 0; count < 2; count++) await client.next();
    await it.commit(2, it.rows('other', 1, 1), [{ key: 'of:ann', value: '' }]);
    await it.settle();
    client.take();
    client.drain();
    await it.settle();
    const [diff, ...rest] = client.take();
    expect(diff).toMatch(/^diff \d+ \[ -big\]$/);
    expect(rest).toEqual([expect.stringMatching(/^complete/)]);
  });
});

describe('membership', () => {
  it('follows the parameter tables: buckets come with their data, and go', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, [...it.rows('g', 1, 1), ...it.rows('org1', 1, 2)]);
    const client = it.connect('ann').drain();
    await it.settle();
    client.take();
    await it.commit(2, it.rows('nowhere', 1, 1), [{ key: 'of:ann', value: '[{"bucket":"org1"}]' }]);
    await it.settle();
    const lines = client.take();
    expect(lines[0]).toMatch(/^diff \d+ \[org1:2\]$/);
    expect(lines[1]).toBe('data org1 2-3');
    await it.commit(3, it.rows('org1', 1, 1, 'y'));
    await it.settle();
    expect(client.take()[0]).toMatch(/\[org1:3\]/);
    await it.commit(4, it.rows('nowhere', 1, 1), [{ key: 'of:ann', value: '' }]);
    await it.settle();
    expect(client.take()[0]).toMatch(/\[ -org1\]/);
    await it.commit(5, it.rows('org1', 1, 1, 'z'));
    await it.settle();
    expect(client.take()).toEqual([]);
  });

  it('sees what changed in a new bucket while it was being resolved', async () => {
    const it = await world();
    await it.commit(1, it.rows('org1', 1, 1), [{ key: 'of:ann', value: '[{"bucket":"org1"}]' }]);
    const client = it.connect('ann');
    const first = client.next();
    await it.commit(2, it.rows('org1', 2, 2));
    await first;
    client.drain();
    await it.settle();
    const last = client.lines.findLast((line) => 'checkpoint' in line || 'checkpoint_diff' in line);
    expect(JSON.stringify(last)).toContain('"count":2');
    expect(client.take().at(-1)).toMatch(/^complete/);
  });

  it('has a limit, with a breakdown, before the first line and later', async () => {
    const it = await world([{ bucket: 'a' }, { bucket: 'b' }]);
    await it.commit(1, it.rows('a', 1, 1));
    const limits = { buckets: 1, parameterResults: 10 };
    await expect(it.connect('ann', { limits }).next()).rejects.toMatchObject({
      code: 'PSYNC_S2305',
      message: 'Too many buckets: 2, the limit is 1 (all: 2)',
    });
    const client = it.connect('ann', { limits: { buckets: 2, parameterResults: 10 } }).drain();
    await it.settle();
    await it.commit(2, it.rows('a', 1, 1), [{ key: 'of:ann', value: '[{"bucket":"c"}]' }]);
    await it.settle();
    expect(client.error).toBeInstanceOf(SluiceError);
    expect((client.error as SluiceError).message).toBe('Too many buckets: 3, the limit is 2 (all: 2, own: 1)');
    expect(it.version.feed.connections).toBe(0);
  });

  it('limits parameter results', async () => {
    const it = await world();
    const names = Array.from({ length: 3 }, (_, index) => ({ key: 'of:ann', value: `[{"bucket":"b${index}"}]` }));
    for (const [index, lookup] of names.entries()) await it.commit(index + 1, it.rows(`r${index}`, 1, 1), [lookup]);
    const client = it.connect('ann', { limits: { buckets: 10, parameterResults: 0 } });
    await expect(client.next()).rejects.toMatchObject({ code: 'PSYNC_S2305' });
  });
});

describe('the end of a stream', () => {
  it('warns, expires and ends with the token', async () => {
    const it = await world();
    await it.commit(1, []);
    const client = it.connect('ann', { secondsToLive: 45 }).drain();
    await it.settle();
    client.take();
    for (let second = 0; second < 50; second++) {
      it.clock.advance(1000);
      await it.settle();
    }
    expect(client.take()).toEqual(['expires 25', 'expires 20', 'expires 0']);
    expect(client.ended).toBe(true);
  });

  it('is a single line for a token that has expired', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, it.rows('g', 1, 1));
    const client = it.connect('ann', { secondsToLive: -10 }).drain();
    await it.settle();
    expect(client.take()).toEqual(['expires 0']);
    expect(client.ended).toBe(true);
  });

  it('comes during a download, too', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, it.rows('g', 1, 50));
    const client = it.connect('ann', { secondsToLive: 30, opsPerLine: 10 });
    await client.next();
    await client.next();
    it.clock.advance(31_000);
    client.drain();
    await it.settle();
    expect(client.take().slice(2)).toEqual(['expires 0']);
    expect(client.ended).toBe(true);
  });

  it('comes when another stream becomes active', async () => {
    const it = await world();
    await it.commit(1, []);
    const client = it.connect('ann').drain();
    await it.settle();
    await it.activateNewStream();
    await it.settle();
    expect(client.ended).toBe(false);
    await it.commit(1, []);
    await it.until(() => client.ended);
    expect(it.version.stream.id).toBe(2);
    expect(client.error).toBeNull();
    const next = it.connect('ann').drain();
    await it.settle();
    expect(next.take()).toEqual(['checkpoint 0 []', 'complete 0']);
  });

  it('leaves nothing behind when the client goes', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, it.rows('g', 1, 1));
    const client = it.connect('ann').drain();
    await it.settle();
    expect(it.version.feed.connections).toBe(1);
    client.disconnect();
    await it.until(() => client.ended);
    expect(it.version.feed.connections).toBe(0);
  });
});

describe('write checkpoints', () => {
  it('are told when their head is passed, repeated, and replaced', async () => {
    const it = await world([{ bucket: 'g' }]);
    await it.commit(1, it.rows('g', 1, 1));
    const client = it.connect('ann', { body: { client_id: 'phone' } }).drain();
    const other = it.connect('ann', { body: { client_id: 'tablet' } }).drain();
    await it.settle();
    client.take();
    other.take();
    it.head = '00000005';
    expect(await it.writeCheckpoints.create(PHONE)).toBe(1n);
    await it.commit(4, []);
    await it.settle();
    expect(client.take()).toEqual([]);
    await it.commit(5, []);
    await it.settle();
    expect(client.take()).toEqual(['diff 1 [] wc 1', 'complete 1']);
    await it.commit(6, it.rows('g', 2, 2));
    await it.settle();
    expect(client.take()[0]).toBe('diff 2 [g:2] wc 1');
    it.head = '00000009';
    await it.writeCheckpoints.create(PHONE);
    await it.commit(8, it.rows('g', 3, 3));
    await it.settle();
    expect(client.take()[0]).toBe('diff 3 [g:3] wc 1');
    await it.commit(9, []);
    await it.settle();
    expect(client.take()[0]).toBe('diff 3 [] wc 2');
    expect(other.take().join()).not.toContain('wc');
  });

  it('are told at once if the head was passed already', async () => {
    const it = await world();
    await it.commit(5, []);
    const client = it.connect('ann').drain();
    await it.settle();
    client.take();
    it.head = '00000003';
    await it.writeCheckpoints.create(ANN);
    await it.settle();
    expect(client.take()).toEqual(['diff 0 [] wc 1', 'complete 0']);
  });

  it('are seen in the first checkpoint of a later connection', async () => {
    const it = await world();
    await it.commit(5, []);
    it.head = '00000003';
    await it.writeCheckpoints.create(ANN);
    const client = it.connect('ann').drain();
    await it.settle();
    expect(client.take()[0]).toBe('checkpoint 0 [] wc 1');
  });

  it('that another process stored are found within a second', async () => {
    const it = await world();
    await it.commit(5, []);
    const client = it.connect('ann').drain();
    await it.settle();
    client.take();
    await it.storage.createWriteCheckpoint(ANN, '00000006');
    await it.commit(6, []);
    await it.settle();
    it.clock.advance(1_000);
    await it.settle();
    expect(client.take()).toEqual(['diff 0 [] wc 1', 'complete 0']);
  });

  it('requested together share one head and one marker', async () => {
    const it = await world();
    const users = Array.from({ length: 50 }, (_, index) => `user ${index}`);
    const ids = await Promise.all(users.map((user) => it.writeCheckpoints.create(user)));
    expect(new Set(ids)).toEqual(new Set([1n]));
    expect(it.headReads).toBeLessThanOrEqual(2);
    expect(it.markers).toBe(it.headReads);
  });

  it('counted by the client never go down', async () => {
    const it = await world();
    expect(await it.writeCheckpoints.request(PHONE, 7n)).toBe(7n);
    expect(await it.writeCheckpoints.request(PHONE, 3n)).toBe(7n);
    expect(await it.writeCheckpoints.create(PHONE)).toBe(8n);
  });

  it('of two users are never the same, whatever they are called', () => {
    const keys = [
      ['a', null],
      ['a', 'b'],
      ['a/b', null],
      ['a","b', null],
      ['a', ''],
    ] as const;
    expect(new Set(keys.map(([user, client]) => writeCheckpointUser(user, client))).size).toBe(keys.length);
  });

  it('fail together with the source, and work again after it', async () => {
    const it = await world();
    let fail = true;
    const flaky = new WriteCheckpoints({
      storage: it.storage,
      source: {
        head: async () => {
          if (fail) throw new SluiceError('PSYNC_S1121', 'the source is away');
          return '00000001';
        },
        marker: async () => {},
      },
      onStored() {},
      clock: it.clock,
    });
    await expect(flaky.create(ANN)).rejects.toMatchObject({ code: 'PSYNC_S1121' });
    fail = false;
    expect(await flaky.create(ANN)).toBe(1n);
    expect(await it.writeCheckpoints.create(ANN)).toBe(2n);
  });

  it('do not wait for a source that has fallen silent', async () => {
    const it = await world();
    let silent = true;
    const source = {
      head: () => (silent ? new Promise<string>(() => {}) : Promise.resolve('00000001')),
      marker: async () => {},
    };
    const waiting = new WriteCheckpoints({ storage: it.storage, source, onStored() {}, clock: it.clock });
    const [first, second] = [waiting.create(ANN), waiting.create('ben')];
    const refused = Promise.all(
      [first, second].map((each) => expect(each).rejects.toMatchObject({ code: 'PSYNC_S1121' })),
    );
    await it.settle();
    it.clock.advance(15_000);
    await it.settle();
    silent = false;
    it.clock.advance(15_000);
    await refused;
    expect(await waiting.create(ANN)).toBe(1n);
  });
});

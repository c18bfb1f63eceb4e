/** Streams, leases, errors and what the source must remember. */
import { expect, test } from 'vitest';
import { at, OWNER } from './harness.ts';
import { put } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

export function streamConformance(withWorld: WithWorld): void {
  test('a stream starts processing and stops any other that was', () =>
    withWorld(async ({ storage, stream }) => {
      expect(stream).toMatchObject({
        lifecycle: 'processing',
        rules: 'rules',
        createdAtMs: 1,
        error: null,
        source: null,
      });
      const next = await storage.createStream('other rules', 2);
      expect(next.id).toBeGreaterThan(stream.id);
      const streams = await storage.listStreams();
      expect(streams.map(({ id, lifecycle }) => [id, lifecycle])).toEqual([
        [stream.id, 'stopped'],
        [next.id, 'processing'],
      ]);
    }));

  test('a stream is made after the newest one only, where that is asked for', () =>
    withWorld(async ({ storage, stream }) => {
      const refused = { code: 'SLU_T1212' };
      await expect(storage.createStream('rules', 2, null)).rejects.toMatchObject(refused);
      const next = await storage.createStream('rules', 2, stream.id);
      await expect(storage.createStream('rules', 3, stream.id)).rejects.toMatchObject(refused);
      await storage.activate(next.id);
      const last = await storage.createStream('rules', 3, next.id);
      await expect(storage.createStream('rules', 4, next.id)).rejects.toMatchObject(refused);
      expect((await storage.listStreams()).map(({ id, lifecycle }) => [id, lifecycle])).toEqual([
        [stream.id, 'stopped'],
        [next.id, 'active'],
        [last.id, 'processing'],
      ]);
      const outcomes = await Promise.allSettled([4, 5, 6, 7].map((at) => storage.createStream('rules', at, last.id)));
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected']);
    }));

  test('what configurations said of the rules is kept by process, and the oldest forgotten', () =>
    withWorld(async (world) => {
      expect(await world.storage.configuredRules()).toEqual([]);
      await world.storage.putConfiguredRules('a', '1');
      await world.storage.putConfiguredRules("b's\n", '2');
      await world.storage.putConfiguredRules('a', '3');
      await world.crash();
      const known = [
        { process: "b's\n", hash: '2' },
        { process: 'a', hash: '3' },
      ];
      expect(await world.storage.configuredRules()).toEqual(known);
      await world.storage.putConfiguredRules('a', null);
      await world.storage.putConfiguredRules('c', null);
      expect(await world.storage.configuredRules()).toEqual(known.slice(0, 1));
      for (let n = 0; n < 70; n++) await world.storage.putConfiguredRules(`process ${n}`, 'x');
      const kept = await world.storage.configuredRules();
      expect(kept.at(0)?.process).toBe('process 6');
      expect(kept.at(-1)?.process).toBe('process 69');
    }));

  test('activation stops the stream that was active; it can be repeated', () =>
    withWorld(async ({ storage, stream }) => {
      await storage.activate(stream.id);
      const next = await storage.createStream('other rules', 2);
      await storage.activate(next.id);
      await storage.activate(next.id);
      const streams = await storage.listStreams();
      expect(streams.map(({ lifecycle }) => lifecycle)).toEqual(['stopped', 'active']);
    }));

  test('watchers of streams are woken at once and by changes', () =>
    withWorld(async ({ storage, stream }) => {
      const abort = new AbortController();
      let wakes = 0;
      for await (const _ of storage.watchStreams(abort.signal)) {
        wakes++;
        if (wakes === 1) await storage.activate(stream.id);
        if (wakes === 2) await storage.createStream('other rules', 2);
        if (wakes === 3) abort.abort();
      }
      expect(wakes).toBe(3);
    }));

  test('errors are kept by report and cleared', () =>
    withWorld(async (world) => {
      const { storage, stream } = world;
      const error = { code: 'PSYNC_S1120', message: 'no', atMs: 3 };
      await storage.reportError(stream.id, error);
      expect((await storage.listStreams())[0]?.error).toEqual(error);
      await world.crash();
      expect((await world.storage.listStreams())[0]?.error).toEqual(error);
      await world.storage.reportError(stream.id, null);
      expect((await world.storage.listStreams())[0]?.error).toBeNull();
    }));

  test('what the source keeps outlives a crash', () =>
    withWorld(async (world) => {
      await world.writer.saveSourceState({ slot: 's1', start: [1, null, 'x'] });
      await world.crash();
      expect((await world.storage.listStreams())[0]?.source).toEqual({ slot: 's1', start: [1, null, 'x'] });
    }));

  test('one writer at a time: a second one is refused until the first is closed', () =>
    withWorld(async ({ storage, stream, writer }) => {
      await expect(storage.openWriter(stream.id, 'other')).rejects.toMatchObject({ code: 'PSYNC_S1003' });
      await writer.close();
      const next = await storage.openWriter(stream.id, 'other');
      await expect(storage.openWriter(stream.id, OWNER)).rejects.toMatchObject({ code: 'PSYNC_S1003' });
      await next.close();
    }));

  test('a writer whose lease has passed on can write nothing', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const old = world.writer;
      await old.close();
      world.writer = await world.storage.openWriter(world.stream.id, 'next');
      const lost = { code: 'SLU_R1101' };
      await expect(old.commit(at(2), { createEmpty: true })).rejects.toMatchObject(lost);
      await expect(old.flush({ writes: [], evaluate: () => null, boundary: at(2) })).rejects.toMatchObject(lost);
      await expect(old.markAllSnapshotDone(at(2))).rejects.toMatchObject(lost);
      await expect(old.saveSourceState(null)).rejects.toMatchObject(lost);
      await old.close();
      await world.transaction(3, put(table, 'a', '1'));
      expect(await world.rows('all')).toEqual({ a: '1' });
    }));

  test('a stream is dropped with its data once it is stopped, and others are left alone', () =>
    withWorld(async (world) => {
      const { storage, stream } = world;
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1', { lookups: { ann: '[1]' } }));
      await expect(storage.dropStream(stream.id)).rejects.toThrow();
      await world.writer.close();
      const next = await storage.createStream('other rules', 2);
      const writer = await storage.openWriter(next.id, OWNER);
      const other = await writer.addTable(table.relation, [0]);
      await storage.dropStream(stream.id);
      await storage.dropStream(stream.id);
      expect((await storage.listStreams()).map(({ id }) => id)).toEqual([next.id]);
      expect(await storage.reader(next.id).tables()).toEqual([other]);
      const later = await storage.createStream('third', 3);
      expect(later.id).toBeGreaterThan(next.id);
    }));

  test('streams do not see one another', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const { opId } = await world.transaction(2, put(table, 'a', '1', { lookups: { ann: '[1]' } }));
      const next = await world.storage.createStream('other rules', 2);
      const reader = world.storage.reader(next.id);
      expect(await reader.readOps(opId, [{ bucket: 'all', after: 0 }], { ops: 9, bytes: 1e6 })).toEqual([]);
      expect(await reader.lookups(opId, ['ann'])).toEqual([[]]);
      expect(await reader.checkpoint()).toBeNull();
      expect(await reader.tables()).toEqual([]);
    }));
}

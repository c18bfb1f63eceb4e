/**
 * A writer whose every call waits for its turn before and after the work: a flush may be late, or its answer. The
 * stream's calls take effect in the order in which they were made, as the port promises.
 */
import type { StreamWriter } from '@sluice/storage';
import type { Scheduler } from './scheduler.ts';

export function slowWriter(writer: StreamWriter, scheduler: Scheduler): StreamWriter {
  const slowly = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    await scheduler.turn(`${name} starts`);
    const result = await work();
    await scheduler.turn(`${name} ended`);
    return result;
  };
  let streamTurn: Promise<unknown> = Promise.resolve();
  const inOrder = <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const started = streamTurn.then(() => scheduler.turn(`${name} starts`));
    const result = started.then(work);
    streamTurn = result.catch(() => {});
    return result.then(async (value) => {
      await scheduler.turn(`${name} ended`);
      return value;
    });
  };
  return {
    flush: (flush) => inOrder('flush', () => writer.flush(flush)),
    flushSnapshot: (flush) => slowly('flush snapshot', () => writer.flushSnapshot(flush)),
    commit: (position, options) => inOrder('commit', () => writer.commit(position, options)),
    addTable: (relation, keyColumns, visibility) =>
      slowly('add table', () => writer.addTable(relation, keyColumns, visibility)),
    removeTable: (id) => slowly('remove table', () => writer.removeTable(id)),
    planTable: (...args) => slowly('store plan', () => writer.planTable(...args)),
    splitTask: (split) => slowly('split task', () => writer.splitTask(split)),
    eraseRows: (request) => inOrder('erase', () => writer.eraseRows({ ...request, limit: 3 })),
    publishRows: (request) => slowly('publish', () => writer.publishRows({ ...request, limit: 2 })),
    markTableSnapshotDone: (id, generation, position) =>
      slowly('table done', () => writer.markTableSnapshotDone(id, generation, position)),
    markTableSnapshotRequired: (id) => slowly('table required', () => writer.markTableSnapshotRequired(id)),
    markAllSnapshotDone: (position) => slowly('all done', () => writer.markAllSnapshotDone(position)),
    purgeTombstones: (limit) => slowly('purge', () => writer.purgeTombstones(Math.min(limit, 2))),
    beginHistory: (state) => slowly('begin history', () => writer.beginHistory(state)),
    dropTombstones: (limit) => slowly('drop tombstones', () => writer.dropTombstones(Math.min(limit, 2))),
    sweepRows: (request) => slowly('sweep', () => writer.sweepRows({ ...request, limit: 3 })),
    saveSourceState: (state) => slowly('save source', () => writer.saveSourceState(state)),
    close: () => writer.close(),
  };
}

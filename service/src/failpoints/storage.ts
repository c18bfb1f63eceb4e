/** A storage that passes failpoints between its calls. The real one does all the work, whichever it is. */
import type { Failpoint, Failpoints } from '@sluice/core';
import type { BucketStorage, CopyWriter, StreamWriter } from '@sluice/storage';
import { replaced } from './replaced.ts';

export function storageWithFailpoints(inner: BucketStorage, failpoints: Failpoints): BucketStorage {
  return replaced<BucketStorage>(inner, {
    openWriter: async (...request) => {
      const writer = await inner.openWriter(...request);
      failpoints.pass('lease.taken');
      return writerWithFailpoints(writer, failpoints);
    },
    openCopyWriter: async (...request) => {
      const writer = await inner.openCopyWriter(...request);
      return replaced<CopyWriter>(writer, copySide(writer, failpoints));
    },
    activate: async (id) => {
      failpoints.pass('version.before-activation');
      await inner.activate(id);
      failpoints.pass('version.activated');
    },
    dropStream: async (id) => {
      await inner.dropStream(id);
      failpoints.pass('version.dropped');
    },
    createWriteCheckpoint: (...request) =>
      passed(inner.createWriteCheckpoint(...request), failpoints, 'write-checkpoint.stored'),
    requestWriteCheckpoint: (...request) =>
      passed(inner.requestWriteCheckpoint(...request), failpoints, 'write-checkpoint.stored'),
  });
}

async function passed<T>(work: Promise<T>, failpoints: Failpoints, point: Failpoint): Promise<T> {
  const result = await work;
  failpoints.pass(point);
  return result;
}

function writerWithFailpoints(inner: StreamWriter, failpoints: Failpoints): StreamWriter {
  const then = <T>(work: Promise<T>, point: Failpoint) => passed(work, failpoints, point);
  return replaced<StreamWriter>(inner, {
    ...streamSide(inner, failpoints),
    ...copySide(inner, failpoints),
    addTable: (...request) => then(inner.addTable(...request), 'table.added'),
    planTable: (...request) => then(inner.planTable(...request), 'table.planned'),
    markTableSnapshotDone: (...request) => {
      failpoints.pass('table.before-done');
      return then(inner.markTableSnapshotDone(...request), 'table.done');
    },
    markAllSnapshotDone: (position) => {
      failpoints.pass('snapshot.before-done');
      return then(inner.markAllSnapshotDone(position), 'snapshot.done');
    },
    purgeTombstones: (limit) => then(inner.purgeTombstones(limit), 'tombstones.purged'),
    eraseRows: (request) => then(inner.eraseRows(request), 'rows.erased'),
    saveSourceState: (state) => then(inner.saveSourceState(state), 'slot.saved'),
    close: () => then(inner.close(), 'lease.released'),
  });
}

function copySide(inner: CopyWriter, failpoints: Failpoints): Pick<CopyWriter, 'flushSnapshot'> {
  return {
    flushSnapshot: (flush) => {
      failpoints.pass('copy.before-flush');
      return passed(inner.flushSnapshot(flush), failpoints, 'copy.flushed');
    },
  };
}

function streamSide(inner: StreamWriter, failpoints: Failpoints): Pick<StreamWriter, 'flush' | 'commit'> {
  /** A flush that no commit followed was a part of a transaction, or completed rows. */
  let uncommitted = false;
  return {
    flush: async (flush) => {
      if (uncommitted) failpoints.pass('stream.flushed-in-part');
      uncommitted = true;
      failpoints.pass('stream.before-flush');
      const result = await inner.flush(flush);
      failpoints.pass('stream.flushed');
      return result;
    },
    commit: async (...request) => {
      uncommitted = false;
      failpoints.pass('checkpoint.before');
      const outcome = await inner.commit(...request);
      if (outcome.kind === 'created') failpoints.pass('checkpoint.made');
      return outcome;
    },
  };
}

/** A source that passes failpoints between its calls. The real one does all the work. */
import type { Failpoints } from '@sluice/core';
import type { ChangeSource } from '@sluice/replication';
import { replaced } from './replaced.ts';

export function sourceWithFailpoints(inner: ChangeSource, failpoints: Failpoints): ChangeSource {
  return replaced<ChangeSource>(inner, {
    open: async (saved) => {
      const opened = await inner.open(saved);
      if (opened.created) failpoints.pass('slot.made');
      return opened;
    },
    async *stream(signal) {
      for await (const batch of inner.stream(signal)) {
        failpoints.pass('stream.received');
        yield batch;
      }
    },
    acknowledge: (position) => {
      inner.acknowledge(position);
      failpoints.pass('acknowledged');
    },
    async *readTask(request) {
      failpoints.pass('copy.before-read');
      for await (const chunk of inner.readTask(request)) {
        failpoints.pass('copy.read');
        yield chunk;
        failpoints.pass('copy.before-read');
      }
    },
    readRows: async (...request) => {
      const rows = await inner.readRows(...request);
      failpoints.pass('rows.read-again');
      return rows;
    },
    marker: async () => {
      await inner.marker();
      failpoints.pass('marker.sent');
    },
    teardown: async (saved) => {
      await inner.teardown(saved);
      failpoints.pass('version.slot-dropped');
    },
  });
}

/**
 * Named instants at which the crash tests let the process die. What passes one says so to whatever was injected; in
 * production nothing is injected; most points lie between two calls of a port, where the service wraps it for the tests
 * (service/src/failpoints), and cost nothing at all; the few inside an adapter or a route call `noFailpoints`.
 */
export const failpointNames = [
  // Source and lease.
  'lease.taken',
  'lease.released',
  'slot.made',
  'slot.saved',
  'marker.sent',
  // The plan.
  'table.added',
  'table.planned',
  // The copy.
  'copy.before-read',
  'copy.read',
  'copy.before-flush',
  'copy.rows-written',
  'copy.flushed',
  'table.before-done',
  'table.done',
  'snapshot.before-done',
  'snapshot.done',
  'rows.read-again',
  // Storage: committed, and not yet on disk.
  'storage.not-durable',
  // The stream.
  'stream.received',
  'stream.before-flush',
  'stream.rows-written',
  'stream.flushed',
  'stream.flushed-in-part',
  'rows.erased',
  'tombstones.purged',
  // Publication and acknowledgement.
  'checkpoint.before',
  'checkpoint.before-notify',
  'checkpoint.made',
  'acknowledged',
  // Versions.
  'version.before-activation',
  'version.activated',
  'version.slot-dropped',
  'version.dropped',
  // Clients.
  'write-checkpoint.stored',
  'client.checkpoint-sent',
  'client.data-sent',
  'client.before-complete',
] as const;

export type Failpoint = (typeof failpointNames)[number];

export interface Failpoints {
  /** Returns, or ends the process. */
  pass(point: Failpoint): void;
}

export const noFailpoints: Failpoints = { pass: () => undefined };

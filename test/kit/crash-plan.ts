/** At which failpoints a run dies, by its seed, and what has to happen so that it comes there. */
import { type Failpoint, failpointNames } from '@sluice/core';
import type { Load } from './load.ts';
import type { RecordingProxy } from './recording-proxy.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface PlannedKill {
  readonly point: Failpoint;
  /** The how manieth time. */
  readonly time: number;
}

/** How often a point is passed in a short run, at least; those left out once. */
const TIMES: Partial<Record<Failpoint, number>> = {
  'marker.sent': 2,
  'table.added': 11,
  'table.planned': 11,
  'copy.before-read': 14,
  'copy.read': 14,
  'copy.before-flush': 12,
  'copy.rows-written': 12,
  'copy.flushed': 12,
  'table.before-done': 11,
  'table.done': 11,
  'storage.not-durable': 40,
  'stream.received': 40,
  'stream.before-flush': 20,
  'stream.rows-written': 20,
  'stream.flushed': 20,
  'stream.flushed-in-part': 2,
  'checkpoint.before': 30,
  'checkpoint.before-notify': 6,
  'checkpoint.made': 6,
  acknowledged: 30,
  'client.checkpoint-sent': 2,
  'client.data-sent': 8,
  'client.before-complete': 6,
};

/** Passed once in the life of a stream. */
const ONCE: readonly Failpoint[] = [
  'slot.made',
  'slot.saved',
  'table.added',
  'table.planned',
  'version.before-activation',
  'version.activated',
];

/** Not passed any more once the copy is complete. */
const OF_THE_COPY: ReadonlySet<Failpoint> = new Set(
  failpointNames.filter((point) => /^(copy|table|snapshot|rows)\./.test(point) && point !== 'rows.erased'),
);

/** The kill, or another one where it cannot happen any more. */
export function possibleKill(kill: PlannedKill, copied: boolean): PlannedKill {
  if (!copied || !OF_THE_COPY.has(kill.point)) return kill;
  const left = failpointNames.filter(
    (point) => /^(stream|checkpoint|client)\./.test(point) && STIMULI[point] === undefined,
  );
  const point = left[failpointNames.indexOf(kill.point) % left.length] ?? 'acknowledged';
  return { point, time: Math.min(kill.time, TIMES[point] ?? 1) };
}

/** Passed only when a version replaces another. */
export const REPLACING: readonly Failpoint[] = ['version.slot-dropped', 'version.dropped'];

/** The run's own point first (all points come in turn, run after run), then others at random. */
export function planKills(run: number, kills: number, random: SeededRandom): readonly PlannedKill[] {
  const own = failpointNames[run % failpointNames.length] ?? 'acknowledged';
  const again = failpointNames.filter((point) => !ONCE.includes(point) && !REPLACING.includes(point));
  const points = [own, ...Array.from({ length: kills - 1 }, () => random.pick(again))];
  return points.map((point) => ({ point, time: 1 + random.int(TIMES[point] ?? 1) }));
}

interface Surroundings {
  readonly load: Load;
  readonly proxy: RecordingProxy;
}

/** Without these the load alone would not bring the service to the point. */
export const STIMULI: Partial<Record<Failpoint, (around: Surroundings) => void>> = {
  // Far larger than what the stream gathers before it flushes a part.
  'stream.flushed-in-part': ({ load }) => load.also([`UPDATE documents SET content = content || '.'`]),
  'rows.erased': ({ load }) => load.truncate('readings'),
  'lease.released': ({ proxy }) => proxy.cutAll(),
};

/** Looks at the replication slots of a source many times a second, and remembers when the acknowledgement moved. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export interface SlotReading {
  readonly atMs: number;
  /** Null while there is no slot. */
  readonly confirmed: string | null;
}

export interface SlotWatch {
  readonly readings: readonly SlotReading[];
  /**
   * Longest time between two movements of the acknowledgement inside the interval, the time before the first and after
   * the last movement included.
   */
  longestStandstillMs(fromMs: number, toMs: number): number;
  stop(): Promise<void>;
}

const INTERVAL_MS = 100;

export async function watchSlot(uri: string): Promise<SlotWatch> {
  const client = new pg.Client(uri);
  // The query that meets it fails, and `stop` tells.
  client.on('error', () => {});
  await client.connect();
  const readings: SlotReading[] = [];
  let stopping = false;
  const run = async () => {
    while (!stopping) {
      const result = await client.query<{ confirmed: string | null }>(
        `SELECT min(confirmed_flush_lsn)::text AS confirmed FROM pg_replication_slots WHERE database = current_database()`,
      );
      readings.push({ atMs: performance.now(), confirmed: result.rows[0]?.confirmed ?? null });
      await sleep(INTERVAL_MS);
    }
  };
  const done = run();
  // Told by `stop`, not before.
  done.catch(() => {});
  return {
    readings,
    longestStandstillMs: (fromMs, toMs) => longestStandstill(readings, fromMs, toMs),
    stop: async () => {
      if (stopping) return done;
      stopping = true;
      await done;
      await client.end();
    },
  };
}

function longestStandstill(readings: readonly SlotReading[], fromMs: number, toMs: number): number {
  let longest = 0;
  let movedAtMs = fromMs;
  let last: string | null = null;
  for (const { atMs, confirmed } of readings) {
    if (confirmed === null || confirmed === last) continue;
    last = confirmed;
    if (atMs < fromMs) continue;
    if (atMs > toMs) break;
    longest = Math.max(longest, atMs - movedAtMs);
    movedAtMs = atMs;
  }
  return Math.max(longest, toMs - movedAtMs);
}

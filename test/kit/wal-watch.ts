/** What a source keeps of its WAL for each replication slot of a database, read several times a second. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export interface SlotPoint {
  readonly slot: string;
  readonly confirmed: number;
  /** WAL between the oldest that is kept for the slot, and the head. */
  readonly retainedBytes: number;
  /** WAL that the slot's owner has not confirmed. */
  readonly unconfirmedBytes: number;
}

export interface WalPoint {
  readonly atMs: number;
  /** Bytes of WAL ever written. */
  readonly head: number;
  readonly slots: readonly SlotPoint[];
}

export interface WalWatch {
  readonly points: readonly WalPoint[];
  stop(): Promise<void>;
}

const INTERVAL_MS = 200;
const SQL = `SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS head, slot_name,
    restart_lsn - '0/0'::pg_lsn AS restart, confirmed_flush_lsn - '0/0'::pg_lsn AS confirmed
  FROM (SELECT 1) AS one LEFT JOIN pg_replication_slots ON database = current_database()`;

export async function watchWal(uri: string): Promise<WalWatch> {
  const client = new pg.Client(uri);
  client.on('error', () => {});
  await client.connect();
  const points: WalPoint[] = [];
  let stopping = false;
  const run = async () => {
    while (!stopping) {
      const { rows } = await client.query<Record<'head' | 'slot_name' | 'restart' | 'confirmed', string | null>>(SQL);
      const head = Number(rows[0]?.head);
      const slots = rows
        .filter((row) => row.slot_name !== null && row.confirmed !== null)
        .map((row) => ({
          slot: row.slot_name ?? '',
          confirmed: Number(row.confirmed),
          retainedBytes: head - Number(row.restart),
          unconfirmedBytes: head - Number(row.confirmed),
        }));
      points.push({ atMs: performance.now(), head, slots });
      await sleep(INTERVAL_MS);
    }
  };
  const done = run();
  done.catch(() => {});
  return {
    points,
    stop: async () => {
      if (stopping) return done;
      stopping = true;
      await done;
      await client.end();
    },
  };
}

/** Readings of the slots whose name begins so. */
export function slotPoints(points: readonly WalPoint[], prefix: string): readonly (SlotPoint & { atMs: number })[] {
  return points.flatMap(({ atMs, slots }) =>
    slots.filter(({ slot }) => slot.startsWith(prefix)).map((slot) => ({ ...slot, atMs })),
  );
}

/** Longest time between two movements of the confirmation, those before the first and after the last included. */
export function longestStandstillMs(points: readonly (SlotPoint & { atMs: number })[]): number {
  let longest = 0;
  let moved = points[0];
  for (const point of points) {
    if (moved === undefined || point.confirmed === moved.confirmed) continue;
    longest = Math.max(longest, point.atMs - moved.atMs);
    moved = point;
  }
  const last = points.at(-1);
  return moved === undefined || last === undefined ? Number.NaN : Math.max(longest, last.atMs - moved.atMs);
}

/**
 * How hard the copy may work: the stream comes first. A pure function from what is measured and what was allowed before
 * to what is allowed next. Under pressure the share halves; without, it comes back in tenths.
 */
export interface Pressure {
  /** History that the source keeps for us; null if unknown. */
  readonly retainedBytes: number | null;
  /** How much more of it the source will keep; null if unlimited or unknown. */
  readonly budgetBytes: number | null;
  /** Age of the oldest source head that was asked for and is not durable here yet; null if none is. */
  readonly behindMs: number | null;
  /** Mean time of a flush of the stream since the last look; null if there was none. */
  readonly flushMs: number | null;
}

export type Strain = 'wal' | 'lag' | 'flush';

export interface Allowance {
  /** Part of the time that tasks may work, and of the places they may take: above 0, at most 1. */
  readonly share: number;
  /** What the copy yields to; null if to nothing. */
  readonly strain: Strain | null;
}

export const FULL_ALLOWANCE: Allowance = { share: 1, strain: null };

const SHARE_MIN = 0.05;
const STEP_UP = 0.1;
/** Parts of the WAL that the source may keep for the slot. */
const WAL_YIELD = 0.5;
const WAL_STOP = 0.8;
const BEHIND_MS = 20_000;
const FLUSH_MS = 2_000;

/** Total. */
export function govern(before: Allowance, pressure: Pressure): Allowance {
  const wal = walShare(pressure);
  if (wal >= WAL_STOP) return { share: SHARE_MIN, strain: 'wal' };
  const strain = strainOf(pressure, wal);
  if (strain !== null) return { share: Math.max(SHARE_MIN, before.share / 2), strain };
  const share = Math.min(1, Math.round((before.share + STEP_UP) * 100) / 100);
  return { share, strain: share < 1 ? before.strain : null };
}

function strainOf({ behindMs, flushMs }: Pressure, wal: number): Strain | null {
  if (wal >= WAL_YIELD) return 'wal';
  if (behindMs !== null && behindMs >= BEHIND_MS) return 'lag';
  if (flushMs !== null && flushMs >= FLUSH_MS) return 'flush';
  return null;
}

/** Used part of what the source keeps for the slot; 0 where it keeps everything. */
function walShare({ retainedBytes, budgetBytes }: Pressure): number {
  if (retainedBytes === null || budgetBytes === null) return 0;
  return retainedBytes <= 0 ? 0 : retainedBytes / (retainedBytes + Math.max(0, budgetBytes));
}

/** Places of `configured` that may be taken: at least one, so that the copy ends some day. */
export function placesOf({ share }: Allowance, configured: number): number {
  return Math.max(1, Math.round(configured * share));
}

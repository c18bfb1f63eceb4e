/**
 * Where to cut a table by its key, so that the parts are about as large: from the statistics that the server keeps of
 * the columns. Pure.
 */

/** A value of a key column, and the share of all rows that have it or are between it and the next one. Ascending. */
export interface KeyPoint {
  readonly value: string;
  readonly weight: number;
}

export interface KeyCut {
  /** The first values of the key, as many as are needed; null: from the beginning. */
  readonly from: readonly string[] | null;
  /** Of all rows, by estimate. Shares sum to 1. */
  readonly share: number;
}

/** Of one part's rows. A value that has more of them may be cut by the next column; a part never has fewer. */
const HALF = 0.5;

/**
 * Every part has at least half of its rows, by estimate: where values cannot be cut, there are fewer parts.
 *
 * @param columns of the key, in its order
 */
export function cutByKey(columns: readonly (readonly KeyPoint[])[], count: number): readonly KeyCut[] {
  const wanted = 1 / count;
  const cuts: KeyCut[] = [];
  let from: readonly string[] | null = null;
  let share = 0;
  let rest = 1;
  for (const point of steps(columns, HALF * wanted)) {
    const ideal = rest / Math.max(1, Math.round(rest / wanted));
    const enough = Math.min(share, rest - share) >= HALF * wanted;
    if (enough && share + point.part / 2 > ideal) {
      cuts.push({ from, share });
      from = point.from;
      rest -= share;
      share = 0;
    }
    share += point.part;
  }
  cuts.push({ from, share: rest });
  return cuts;
}

/** Where a part may begin, and the share of all rows from there to the next such key. */
interface Step {
  readonly from: readonly string[];
  readonly part: number;
}

/** In the order of the key. A value of more than `heavy` of all rows is as many steps as the next column has. */
function steps([points = [], ...others]: readonly (readonly KeyPoint[])[], heavy: number): readonly Step[] {
  const total = points.reduce((sum, { weight }) => sum + weight, 0);
  return points.flatMap(({ value, weight }) => {
    const part = total > 0 ? weight / total : 0;
    const inner = part > heavy ? steps(others, heavy / part) : [];
    if (inner.length === 0) return { from: [value], part };
    return inner.map((step, index) => ({
      from: index === 0 ? [value] : [value, ...step.from],
      part: part * step.part,
    }));
  });
}

/** What `pg_stats` says of one column. Bounds part the other values into equally many rows. */
export interface ColumnStatistics {
  readonly bounds: readonly string[];
  readonly common: readonly string[];
  readonly frequencies: readonly number[];
}

/** Not in order: only the server knows the order of its types and collations. */
export function keyPoints({ bounds, common, frequencies }: ColumnStatistics): KeyPoint[] {
  const others = Math.max(0, 1 - frequencies.reduce((sum, frequency) => sum + frequency, 0));
  const between = bounds.length > 1 ? others / (bounds.length - 1) : 0;
  return [
    ...bounds.map((value, index) => ({ value, weight: index === bounds.length - 1 ? 0 : between })),
    ...common.map((value, index) => ({ value, weight: frequencies[index] ?? 0 })),
  ];
}

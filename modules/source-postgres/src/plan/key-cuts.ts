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

/** A value that has this many times its part of the rows is cut by the next column. */
const HEAVY = 1.5;

/** @param columns of the key, in its order */
export function cutByKey(columns: readonly (readonly KeyPoint[])[], count: number): readonly KeyCut[] {
  const [points = [], ...others] = columns;
  const total = points.reduce((sum, { weight }) => sum + weight, 0);
  if (total <= 0 || count <= 1) return [{ from: null, share: 1 }];
  const wanted = 1 / count;
  const cuts: KeyCut[] = [];
  let from: readonly string[] | null = null;
  let share = 0;
  const cutAt = (next: readonly string[]) => {
    cuts.push({ from, share });
    from = next;
    share = 0;
  };
  for (const { value, weight } of points) {
    const part = weight / total;
    if (share > 0 && share + part / 2 > wanted) cutAt([value]);
    const inner = part > HEAVY * wanted ? cutByKey(others, Math.round(part / wanted)) : [{ from: null, share: 1 }];
    for (const cut of inner) {
      if (cut.from !== null) cutAt([value, ...cut.from]);
      share += cut.share * part;
    }
  }
  cuts.push({ from, share });
  return cuts;
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

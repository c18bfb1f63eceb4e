/** Figures of a bench run: our rate, the limit measured in the same run, and the ratio of the two. */
export interface Figure {
  /** What was measured, for people. */
  readonly what: string;
  readonly unit: string;
  readonly rate: number;
  readonly seconds?: number;
  readonly detail?: Readonly<Record<string, number | string>>;
}

export interface Comparison {
  readonly ours: string;
  readonly limit: string;
  readonly ratio: number;
  /** What the project promises; null where nothing is promised. */
  readonly promised: number | null;
}

export interface BenchReport {
  readonly bench: string;
  readonly machine: { readonly cores: number; readonly node: string };
  readonly parameters: Readonly<Record<string, number | string | boolean>>;
  readonly figures: readonly Figure[];
  readonly comparisons: readonly Comparison[];
}

export class ReportBuilder {
  readonly #figures: Figure[] = [];
  readonly #comparisons: Comparison[] = [];

  add(figure: Figure): Figure {
    this.#figures.push(figure);
    process.stderr.write(`  ${line(figure)}\n`);
    return figure;
  }

  compare(ours: Figure, limit: Figure, promised: number | null): void {
    const comparison = { ours: ours.what, limit: limit.what, ratio: ours.rate / limit.rate, promised };
    this.#comparisons.push(comparison);
    process.stderr.write(`  ${ratioLine(comparison)}\n`);
  }

  build(head: Omit<BenchReport, 'figures' | 'comparisons'>): BenchReport {
    return { ...head, figures: this.#figures, comparisons: this.#comparisons };
  }
}

function line(figure: Figure): string {
  const seconds = figure.seconds === undefined ? '' : ` in ${figure.seconds.toFixed(2)} s`;
  const detail = Object.entries(figure.detail ?? {}).map(([name, value]) => `${name} ${shown(value)}`);
  const tail = detail.length === 0 ? '' : `  (${detail.join(', ')})`;
  return `${figure.what}: ${shown(figure.rate)} ${figure.unit}${seconds}${tail}`;
}

function ratioLine({ ours, limit, ratio, promised }: Comparison): string {
  const verdict = promised === null ? '' : ratio >= promised ? ` ≥ ${promised} ✓` : ` < ${promised} ✗`;
  return `→ ${ours} / ${limit} = ${ratio.toFixed(3)}${verdict}`;
}

function shown(value: number | string): string {
  if (typeof value === 'string') return value;
  return value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}

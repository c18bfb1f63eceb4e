/** A CPU profile of one stretch of work in this process, reduced to the functions that cost most by themselves. */
import { Session } from 'node:inspector/promises';

export interface Cost {
  /** Function and file, as the profiler names them. */
  readonly where: string;
  /** Share of all samples; waiting is `(idle)`. */
  readonly share: number;
}

const SHOWN = 20;

export interface Profiled<T> {
  readonly result: T;
  readonly costs: readonly Cost[];
}

export async function profiled<T>(enabled: boolean, work: () => Promise<T>): Promise<Profiled<T>> {
  if (!enabled) return { result: await work(), costs: [] };
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 500 });
  await session.post('Profiler.start');
  try {
    const result = await work();
    const { profile } = await session.post('Profiler.stop');
    return { result, costs: largestCosts(profile) };
  } finally {
    session.disconnect();
  }
}

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples?: readonly number[] | undefined;
}

function largestCosts({ nodes, samples = [] }: Profile): Cost[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const counts = new Map<string, number>();
  for (const sample of samples) {
    const name = names.get(sample) ?? '?';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .map(([where, count]) => ({ where, share: count / samples.length }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, SHOWN);
}

function placeOf(frame: { functionName: string; url: string; lineNumber: number }): string {
  if (frame.url === '') return frame.functionName;
  const file = frame.url.replace(/^.*\/(packages|modules|service|test|node_modules)\//, '$1/');
  return `${frame.functionName || '(anonymous)'} ${file}:${frame.lineNumber + 1}`;
}

export function printCosts(costs: readonly Cost[]): void {
  for (const { where, share } of costs)
    process.stderr.write(`    ${(share * 100).toFixed(1).padStart(5)} %  ${where}\n`);
}

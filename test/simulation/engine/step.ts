/** A life as data: how it begins, and what happens in it, step by step. Everything random about a life is in here. */
import type { SnapshotControlChange } from '@sluice/storage';
import { type Change, describeChange } from './change.ts';
import type { Strategy } from './scripted-ranges.ts';

export type Step =
  /** `flushed`, `visible`: at once; else later steps make it so. */
  | {
      readonly kind: 'commit';
      readonly changes: readonly Change[];
      readonly flushed: boolean;
      readonly visible: boolean;
    }
  /** The n-th transaction that reads cannot see yet becomes visible. */
  | { readonly kind: 'reveal'; readonly n: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'grow' }
  | { readonly kind: 'rewrite'; readonly oid: string }
  /** Those who wait under these labels go on, together. */
  | { readonly kind: 'go'; readonly labels: readonly string[]; readonly draw: number }
  | { readonly kind: 'fail'; readonly label: string }
  /** An operator pauses, cancels, resumes, orders. */
  | { readonly kind: 'control'; readonly change: SnapshotControlChange }
  /** A table may not be read, or, with a key, one row of it cannot be; what is streamed is not concerned. */
  | { readonly kind: 'deny'; readonly oid: string; readonly key: string | null }
  /** It is mended, and an operator resumes the table. */
  | { readonly kind: 'grant'; readonly oid: string }
  | { readonly kind: 'crash' }
  /** Another process begins while this one stands still; what it asked of storage arrives late, by `late`. */
  | { readonly kind: 'take over' }
  | { readonly kind: 'late'; readonly label: string }
  /** The process that copies beside the other one is taken for dead, and goes on. */
  | { readonly kind: 'strike off' }
  /** The process dies, and while it is away its slot is dropped. */
  | { readonly kind: 'lose slot' };

export interface Beginning {
  readonly seed: number;
  readonly storage: 'memory' | 'lmdb';
  readonly slowReads: boolean;
  /** Snapshot tasks read at once. */
  readonly concurrency: number;
  /** How tables are cut; by blocks where it is not said. */
  readonly strategy?: Strategy;
  /** Whether the copy's share of memory is less than its tasks would take. */
  readonly tightMemory?: boolean;
  /** Whether another process copies, too. */
  readonly copier?: boolean;
  /** In the source before the slot is made. */
  readonly before: readonly Step[];
}

export interface Script {
  readonly beginning: Beginning;
  readonly steps: readonly Step[];
}

export function describeScript({ beginning, steps }: Script): string {
  const { before, ...rest } = beginning;
  return [
    `life ${JSON.stringify(rest)}`,
    ...before.map((step) => `before: ${describeStep(step)}`),
    ...steps.map(describeStep),
  ]
    .map((line, index) => `${String(index).padStart(4)}  ${line}`)
    .join('\n');
}

function describeStep(step: Step): string {
  switch (step.kind) {
    case 'commit': {
      const flags = `${step.flushed ? '' : ', not flushed'}${step.visible ? '' : ', not visible'}`;
      return `commit${flags}: ${step.changes.map(describeChange).join('; ')}`;
    }
    case 'go':
      return `go: ${step.labels.join(' + ')} (${step.draw.toFixed(2)})`;
    case 'fail':
      return `FAIL: ${step.label}`;
    case 'rewrite':
      return `rewrite ${step.oid}`;
    case 'deny':
      return `deny ${step.oid} ${step.key ?? ''}`;
    case 'grant':
      return `grant ${step.oid}`;
    case 'reveal':
      return `reveal ${step.n}`;
    case 'control':
      return `control: ${JSON.stringify(step.change)}`;
    case 'crash':
      return 'CRASH';
    case 'take over':
      return 'ANOTHER PROCESS TAKES OVER';
    case 'late':
      return `late: ${step.label}`;
    case 'strike off':
      return 'THE COPIER IS TAKEN FOR DEAD';
    case 'lose slot':
      return 'CRASH, AND THE SLOT IS DROPPED';
    case 'flush':
    case 'grow':
      return step.kind;
  }
}

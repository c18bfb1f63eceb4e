/** The tables and `json_each` calls one query reads, each use of a name on its own. */
import { invariant } from '@sluice/core';
import type { TablePattern } from '../api.ts';
import { inputsOf, type Plan } from '../expression/plan.ts';
import type { SourceId, StreamInput } from './input.ts';

export interface TableSourceInfo {
  readonly kind: 'table';
  readonly pattern: TablePattern;
  /** Name that rows are synced under; null for the table's own. */
  readonly outputName: string | null;
}

export interface EachSourceInfo {
  readonly kind: 'each';
  readonly argument: Plan<StreamInput>;
}

/**
 * What a value depends on: the request, a table (with the arrays in its rows), or an array that the request or the rules
 * give.
 */
export type Root = 'request' | SourceId;

/** Tables, arrays and queries that one query may read. */
export const SOURCES_MAX = 200;

export class Sources {
  #read = 0;
  readonly #all: (TableSourceInfo | EachSourceInfo)[] = [];

  add(source: TableSourceInfo | EachSourceInfo): SourceId {
    return this.#all.push(source) - 1;
  }

  /** Whether one more may be read, also of those that are read in pieces, such as common table expressions. */
  claimRoom(): boolean {
    return ++this.#read <= SOURCES_MAX;
  }

  get(id: SourceId): TableSourceInfo | EachSourceInfo {
    const source = this.#all[id];
    invariant(source !== undefined, `streams: source ${id} does not exist`);
    return source;
  }

  /** Elements of an array in a row depend on the row's table. */
  rootOf(input: StreamInput): Root {
    if (input.kind === 'request') return 'request';
    const source = this.get(input.source);
    if (source.kind === 'table') return input.source;
    const base = this.eachBase(input.source);
    return typeof base === 'number' ? base : input.source;
  }

  rootsOf(plan: Plan<StreamInput>): ReadonlySet<Root> {
    const roots = new Set<Root>();
    for (const input of inputsOf(plan)) roots.add(this.rootOf(input));
    return roots;
  }

  /** What the argument of a `json_each` depends on: a table, the request, or nothing. */
  eachBase(id: SourceId): SourceId | 'request' | 'constant' {
    const source = this.get(id);
    invariant(source.kind === 'each', 'streams: only json_each has a base');
    for (const input of inputsOf(source.argument)) return input.kind === 'request' ? 'request' : input.source;
    return 'constant';
  }

  /** The first input that depends on something else than those before it; null if all depend on one thing. */
  conflictIn(plan: Plan<StreamInput>): StreamInput | null {
    let first: Root | undefined;
    for (const input of inputsOf(plan)) {
      const root = this.rootOf(input);
      first ??= root;
      if (root !== first) return input;
    }
    return null;
  }
}

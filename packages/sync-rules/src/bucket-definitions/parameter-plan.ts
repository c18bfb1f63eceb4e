/** The kinds of parameter queries, as they are read: what decides which buckets of a definition a client gets. */
import type { TablePattern } from '../api.ts';
import type { Plan } from '../expression/plan.ts';
import type { Slot } from './clause.ts';
import type { Condition } from './condition.ts';
import type { Input } from './input.ts';

/** A named output. `stored`: read from the table's row into the index; else computed for each request. */
export interface ParameterOutput {
  readonly name: string;
  readonly plan: Plan<Input>;
  readonly stored: boolean;
}

export interface QueryBase {
  /** "1", "2", ..: the place among all parameter queries of the definition. Part of lookup keys. */
  readonly id: string;
  readonly outputs: readonly ParameterOutput[];
  /** From `_priority`; null if not given. */
  readonly priority: number | null;
}

/** No table: the request alone says whether there is a bucket, and which. */
export interface StaticQuery extends QueryBase {
  readonly kind: 'static';
  readonly filter: Plan<Input> | null;
}

/** One bucket for each element of a JSON array (or object) of the request. */
export interface ElementsQuery extends QueryBase {
  readonly kind: 'elements';
  readonly array: Plan<Input>;
  readonly filter: Plan<Input> | null;
}

/** Rows of a table lead from request values to buckets, through the parameter index. */
export interface TableQuery extends QueryBase {
  readonly kind: 'table';
  readonly pattern: TablePattern;
  /** Null: every row is a hit for everyone. */
  readonly condition: Condition | null;
  /** Request values of the key, by slot of the condition. */
  readonly slots: readonly Slot[];
}

export type ParameterQuery = StaticQuery | ElementsQuery | TableQuery;

/** What a definition without `parameters` has: one bucket for everyone. */
export const everyoneQuery: StaticQuery = { kind: 'static', id: '1', outputs: [], priority: null, filter: null };

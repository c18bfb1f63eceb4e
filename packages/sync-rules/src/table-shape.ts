import type { ColumnType } from '@sluice/core';

/** A source table as the evaluator needs to know it. A `Relation` of core is one. */
export interface TableShape {
  readonly connectionTag: string;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly (ColumnType & { readonly name: string })[];
}

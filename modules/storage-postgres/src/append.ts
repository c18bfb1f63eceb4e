/** Writes what a flush has assembled behind everything that is there, and moves the head. */
import type { OpId } from '@sluice/core';
import type { Assembly } from './assembly.ts';
import type { Names } from './names.ts';
import type { Tx } from './sql.ts';
import { appendChanges } from './sql/append-changes.ts';
import { appendLookups } from './sql/append-lookups.ts';
import { appendOps, type BucketNumbers } from './sql/append-ops.ts';
import type { Counters, StateRow } from './state-row.ts';

export interface Appended {
  readonly headOp: OpId;
  readonly counters: Counters;
}

export interface Appendable {
  /** Sealed. */
  readonly assembly: Assembly;
  readonly numbers: BucketNumbers;
}

/** Inside the transaction that locked `row`. */
export async function append(
  sql: Tx,
  tables: ReturnType<Names['of']>,
  { state, counters }: StateRow,
  { assembly, numbers }: Appendable,
): Promise<Appended> {
  if (assembly.ordinals === 0) return { headOp: state.headOp, counters };
  const first = state.headOp + 1;
  const headOp = state.headOp + assembly.ordinals;
  appendOps(sql, tables, assembly, { first, checkpoint: state.checkpoint?.opId ?? 0, numbers });
  appendLookups(sql, tables.lookups, assembly.lookups, first);
  return { headOp, counters: await appendChanges(sql, tables.changes, assembly, { headOp, counters }) };
}

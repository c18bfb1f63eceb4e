/**
 * What operators, and the copy itself, have said about how tables are to be copied: stored, so that any process may say
 * it and a restart still knows it. It never changes when checkpoints may be made: a table that is held stays pending, and a
 * pending table keeps the snapshot gate closed.
 */
import type { TableId } from '@sluice/core';
import type { TableState } from './table-state.ts';

export interface SnapshotControl {
  /** Tasks read at once; null: as configured. */
  readonly concurrency: number | null;
  /** No table is copied while set. */
  readonly paused: boolean;
  /** All rows shall be read again and compared with what is stored; taken back when that has begun. */
  readonly compare: boolean;
  /** By `schema.name`. Tables that are not here are not held, and have priority 0. */
  readonly tables: Readonly<Record<string, TableControl>>;
}

export interface TableControl {
  readonly hold: TableHold | null;
  /** Higher ones are copied first. */
  readonly priority: number;
}

export type TableHold =
  /** By an operator: goes on where it was when resumed. */
  | { readonly kind: 'paused'; readonly atMs: number }
  /** By an operator: what was planned is forgotten, and the copy starts over when resumed. */
  | { readonly kind: 'cancelled'; readonly atMs: number }
  /** By the copy: this incarnation of the table cannot be read, and trying again does not help. */
  | {
      readonly kind: 'quarantined';
      readonly atMs: number;
      readonly tableId: TableId;
      readonly code: string;
      readonly message: string;
    };

export type SnapshotControlChange =
  | { readonly kind: 'concurrency'; readonly value: number | null }
  | { readonly kind: 'pauseAll' }
  /** Releases every table, too. */
  | { readonly kind: 'resumeAll' }
  | { readonly kind: 'compare'; readonly wanted: boolean }
  | { readonly kind: 'hold'; readonly table: string; readonly hold: TableHold }
  | { readonly kind: 'resume'; readonly table: string }
  | { readonly kind: 'priority'; readonly table: string; readonly priority: number };

export const initialSnapshotControl: SnapshotControl = { concurrency: null, paused: false, compare: false, tables: {} };

const UNCONTROLLED: TableControl = { hold: null, priority: 0 };

/** Total. */
export function snapshotControlAfter(
  control: SnapshotControl,
  changes: readonly SnapshotControlChange[],
): SnapshotControl {
  return changes.reduce(after, control);
}

function after(control: SnapshotControl, change: SnapshotControlChange): SnapshotControl {
  switch (change.kind) {
    case 'concurrency':
      return { ...control, concurrency: change.value };
    case 'pauseAll':
      return { ...control, paused: true };
    case 'compare':
      return { ...control, compare: change.wanted };
    case 'resumeAll': {
      const released = Object.keys(control.tables).map((table) => ({ kind: 'resume', table }) as const);
      return snapshotControlAfter({ ...control, paused: false }, released);
    }
    case 'hold':
      return withTable(control, change.table, { hold: change.hold });
    case 'resume':
      return withTable(control, change.table, { hold: null });
    case 'priority':
      return withTable(control, change.table, { priority: change.priority });
  }
}

function withTable(control: SnapshotControl, table: string, part: Partial<TableControl>): SnapshotControl {
  const next = { ...tableControl(control, table), ...part };
  const others = Object.entries(control.tables).filter(([name]) => name !== table);
  const kept = next.hold === null && next.priority === 0 ? others : [...others, [table, next] as const];
  return { ...control, tables: Object.fromEntries(kept) };
}

/** What keeps this very table from being copied: one in quarantine was another, if one was made again under its name. */
export function holdOf(control: SnapshotControl, { id, relation }: TableState): TableHold | null {
  const { hold } = tableControl(control, `${relation.schema}.${relation.name}`);
  return hold?.kind === 'quarantined' && hold.tableId !== id ? null : hold;
}

/** @param table `schema.name` */
export function tableControl(control: SnapshotControl, table: string): TableControl {
  return Object.hasOwn(control.tables, table) ? (control.tables[table] ?? UNCONTROLLED) : UNCONTROLLED;
}

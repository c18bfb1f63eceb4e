/** Data definition in the simulated source. */
import type { Change } from './change.ts';
import {
  type DatabaseState,
  ID,
  LONG,
  type ModelColumn,
  type ModelTable,
  newShape,
  type Publication,
  OWNER,
  shapeOf,
} from './tables.ts';

export type Definition = Exclude<Change, { kind: 'insert' | 'update' | 'delete' | 'truncate' }>;

export interface Redefined {
  readonly state: DatabaseState;
  readonly created: string | null;
  readonly dropped: string | null;
  /** The table whose rows were written anew. */
  readonly rewritten: string | null;
}

const KEPT = new Set([ID, OWNER, LONG]);

export function applyToCatalogue(state: DatabaseState, change: Definition): Redefined {
  const nothing = { state, created: null, dropped: null, rewritten: null };
  const isTaken = (name: string) => [...state.values()].some(({ shape }) => shape.name === name);
  if (change.kind === 'create table') {
    if (isTaken(change.name) || state.has(change.oid)) return nothing;
    const table: ModelTable = { shape: newShape(change.oid, change.name), rows: new Map() };
    return { ...nothing, state: new Map(state).set(change.oid, table), created: change.oid };
  }
  const table = state.get(change.oid);
  if (table === undefined) return nothing;
  if (change.kind === 'drop table') {
    const left = new Map(state);
    left.delete(change.oid);
    return { ...nothing, state: left, dropped: change.oid };
  }
  const { shape } = table;
  const reshaped = (part: Partial<Pick<typeof shape, 'name' | 'identity' | 'columns' | 'publication'>>): Redefined => ({
    ...nothing,
    state: new Map(state).set(change.oid, { ...table, shape: shapeOf({ ...shape, ...part }) }),
  });
  switch (change.kind) {
    case 'rename table':
      return isTaken(change.to) ? nothing : reshaped({ name: change.to });
    case 'replica identity':
      return reshaped({ identity: change.to });
    case 'publish':
    case 'unpublish': {
      const publication = publicationAfter(shape.publication, change);
      return publication === null ? nothing : reshaped({ publication });
    }
    case 'add column':
      if (shape.columns.some(({ name }) => name === change.name)) return nothing;
      return reshaped({ columns: [...shape.columns, newColumn(table, change)] });
    case 'drop column':
      return reshaped({
        columns: shape.columns.filter((column) => column.name !== change.name || KEPT.has(column.attribute)),
      });
    case 'change type': {
      const columns = shape.columns.map((column) =>
        column.name === change.name && !KEPT.has(column.attribute) ? { ...column, typeId: column.typeId + 1 } : column,
      );
      return { ...reshaped({ columns }), rewritten: change.oid };
    }
  }
}

/** Null if it is so already. */
function publicationAfter(
  now: Publication,
  change: Definition & { kind: 'publish' | 'unpublish' },
): Publication | null {
  const isPublished = change.kind === 'publish';
  const from = change.kind === 'publish' ? change.from : '';
  if (now.isPublished === isPublished && now.from === from) return null;
  return { version: now.version + 1, isPublished, from };
}

/** Behind every column that the table ever had. */
function newColumn(
  { shape, rows }: ModelTable,
  { name, missing }: { name: string; missing: string | null },
): ModelColumn {
  const used = Math.max(
    ...shape.columns.map((column) => column.attribute + 1),
    ...[...rows.values()].map((row) => row.length),
  );
  return { attribute: used, name, typeId: 25, missing };
}

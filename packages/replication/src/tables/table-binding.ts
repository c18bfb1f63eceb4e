/**
 * What joins a relation of the source with its stored table and its compiled rules. Found once per relation object, so
 * that the stream pays one map look-up per change.
 */
import { BEFORE_ALL, type Column, type Position, type Relation, SluiceError } from '@sluice/core';
import type { TableState } from '@sluice/storage';
import type { ByteRowEvaluator, RowEvaluator, SyncRules } from '@sluice/sync-rules';
import type { DiscoveredTable } from '../change-source.ts';
import type { RowErrors } from './row-errors.ts';

export interface TableBinding {
  readonly table: TableState;
  /** Record key columns as positions in the relation that the binding was made for. */
  readonly keyColumns: readonly number[];
  /** Changes up to here are in the table's copy. */
  readonly foundAt: Position;
  readonly evaluator: RowEvaluator;
  /** The same rules, for copied rows. */
  readonly copyEvaluator: ByteRowEvaluator;
  /**
   * The same for rows that are cut to the columns that are stored; null if the relation has no others. A table that got columns
   * keeps those that it has until all its rows can be read again.
   */
  readonly cut: TableBinding | null;
  reportRowError(definition: string, message: string): void;
}

interface Bound {
  readonly table: TableState;
  /** The table as rows come: as it is stored, or as the stream says. */
  readonly relation: Relation;
  readonly rowErrors: RowErrors;
}

/** @returns null if no rule reads the table */
export function bindTable(rules: SyncRules, bound: Bound): TableBinding | null {
  const { table, relation, rowErrors } = bound;
  const evaluator = rules.compileTable(relation);
  const copyEvaluator = rules.compileByteTable(relation);
  if (evaluator === null || copyEvaluator === null) return null;
  return {
    table,
    keyColumns: table.keyColumns,
    foundAt: table.relation.found?.at ?? BEFORE_ALL,
    evaluator,
    copyEvaluator,
    cut: isWider(relation, table) ? bindTable(rules, { ...bound, relation: cutTo(table, relation) }) : null,
    reportRowError: (definition, message) => rowErrors.add(table, definition, message),
  };
}

export function isWider(relation: Relation, stored: TableState): boolean {
  return relation.columns.length > stored.relation.columns.length;
}

function cutTo(stored: TableState, relation: Relation): Relation {
  return { ...relation, columns: relation.columns.slice(0, stored.relation.columns.length) };
}

/** Stored tables are those that rules read. */
export function unread({ relation: { schema, name } }: TableState): never {
  throw new SluiceError('SLU_X0001', `no rule reads table ${schema}.${name}`);
}

export type Compatibility = 'same' | 'different';

/**
 * Whether rows of `relation` can go on being written under the record of `stored`: the same physical table under the
 * same name with the same key, and no old column changed, or made anew as far as can be told. Columns added at the end are
 * fine. What a user-defined type is made of is not compared: stored rows are the text that the source sent, whatever the
 * type has become since.
 */
export function compatibility(stored: TableState, relation: Relation): Compatibility {
  const old = stored.relation;
  if (old.sourceId !== relation.sourceId || old.schema !== relation.schema || old.name !== relation.name)
    return 'different';
  for (const [position, column] of old.columns.entries()) {
    const now = relation.columns[position];
    if (now === undefined || now.name !== column.name || now.typeId !== column.typeId) return 'different';
    if (isMadeAnew(column, now)) return 'different';
  }
  return identifies(relation, stored.keyColumns) ? 'same' : 'different';
}

function isMadeAnew(old: Column, now: Column): boolean {
  return old.number !== undefined && now.number !== undefined && old.number !== now.number;
}

/** Whether old rows come with the values of the record key. Without an identity none come, and nothing can go wrong. */
function identifies({ replicaIdentity, columns }: Relation, keyColumns: readonly number[]): boolean {
  if (replicaIdentity === 'full' || replicaIdentity === 'nothing') return true;
  return keyColumns.every((column) => columns[column]?.key === true);
}

/** Whether what the source sends of the table is what it sent when it was found. */
export function isAsPublished(stored: TableState, now: Pick<DiscoveredTable, 'published'>): boolean {
  const published = now.published ?? '';
  return (stored.relation.found?.published ?? published) === published;
}

/**
 * Whether nothing of the table has been left out before the transaction of `boundary`: a table that was taken out of the
 * publication and put back streams again, and what it missed in between does not come.
 * @param confirmed up to where it is known to have been published as it was when it was found
 */
export function isKnownAsFound(confirmed: Position | undefined, boundary: Position): boolean {
  return boundary <= (confirmed ?? BEFORE_ALL);
}

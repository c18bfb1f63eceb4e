/**
 * What a source emits. Values stay exactly as the source sent them until an expression needs them.
 */
import type { ColumnType } from './column-type.ts';
import type { Position } from './position.ts';

/** Text as the source sent it, `null` for SQL NULL, `undefined` for "not sent" (unchanged TOAST, non-key column). */
export type RawValue = string | null | undefined;

/** Values in the order of `Relation.columns`. */
export type RawRow = readonly RawValue[];

export interface Column extends ColumnType {
  readonly name: string;
  /** Source type modifier; -1 where there is none. */
  readonly typeModifier: number;
  /** The catalogue's own: a column that was dropped and made again has another. The stream does not tell it. */
  readonly number?: number;
  /** Whether the column is part of the record key. */
  readonly key: boolean;
}

/** How a source identifies old rows in updates and deletes. */
export type ReplicaIdentity = 'default' | 'index' | 'full' | 'nothing';

/** One physical table as the source describes it at one moment. */
export interface Relation {
  /** Stable id of the physical table in the source (Postgres: relation OID as decimal text). */
  readonly sourceId: string;
  readonly connectionTag: string;
  readonly schema: string;
  readonly name: string;
  readonly replicaIdentity: ReplicaIdentity;
  readonly columns: readonly Column[];
  /** Known of stored tables only. */
  readonly found?: FoundTable;
}

/** How a table stood in the source's catalogue when it was found there. */
export interface FoundTable {
  /** The source's head, sampled behind the look: whatever happened to the table before is in its copy. */
  readonly at: Position;
  /** What of it the source sends, in the source's own words. */
  readonly published: string;
}

export interface InsertChange {
  readonly kind: 'insert';
  readonly relation: Relation;
  readonly row: RawRow;
}

export interface UpdateChange {
  readonly kind: 'update';
  readonly relation: Relation;
  readonly row: RawRow;
  /** Old key columns (other positions `undefined`), or the whole old row under identity FULL; null if the key kept. */
  readonly before: RawRow | null;
}

export interface DeleteChange {
  readonly kind: 'delete';
  readonly relation: Relation;
  readonly before: RawRow;
}

export interface TruncateChange {
  readonly kind: 'truncate';
  readonly relations: readonly Relation[];
}

export type RowChange = InsertChange | UpdateChange | DeleteChange;

/**
 * The stream's alphabet. `begin` and `commit` pair up and never nest; row changes stand only between them; positions
 * never fall.
 */
export type StreamEvent =
  | { readonly kind: 'begin'; readonly boundary: Position; readonly committedAtMs: number }
  | RowChange
  | TruncateChange
  | { readonly kind: 'commit'; readonly position: Position; readonly committedAtMs: number }
  | { readonly kind: 'heartbeat'; readonly position: Position };
// `begin.boundary`: greater than every earlier commit's position and not greater than this transaction's own, known
// before the transaction's rows: what a flush in mid-transaction must raise the checkpoint boundary to.
// `heartbeat`: everything up to `position` has been sent, and no transaction is open.

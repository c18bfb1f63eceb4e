/** What rules make of copied rows: synced objects that are not returned but written, and what they are made of. */
import type { ByteRows, ByteSpace } from '@sluice/core';

/** The synced object of the row that is looked at, to be written where it is wanted. Valid until the next row. */
export interface JsonBytes {
  /** The same for all rows; null if it is not just columns. */
  readonly members: readonly MemberBytes[] | null;
  /** Computes what cannot be copied. @returns how many bytes `write` needs at most @throws EvaluationError */
  prepare(rows: ByteRows): number;
  /** After `prepare`. @returns the end of what was written at `at` */
  write(rows: ByteRows, target: ByteSpace, at: number): number;
}

export interface MemberBytes {
  /** `,"name":` */
  readonly head: Uint8Array;
  readonly column: number;
  readonly form: JsonForm;
}

/**
 * What a column's text is in JSON: types/json-bytes.ts does it value by value, and whoever packs rows may do the same in
 * another way.
 */
export type JsonForm = { readonly kind: 'text' | 'plain' | 'boolean' | 'real' | 'date' } | MomentForm;

export interface MomentForm {
  readonly kind: 'moment';
  /** Put behind; the texts it takes are in UTC, or have no zone. */
  readonly zone: '' | 'Z';
  /** `T` between date and time, and so many digits behind the second. */
  readonly iso: boolean;
  readonly digits: number;
}

/** The id of a synced object. Of copied rows it may be a column, by its position: its text, empty for null. */
export type ObjectId<Json> = Json extends JsonBytes ? string | number : string;

/**
 * What a type is made of, where its name alone does not tell: types that users of the source define. Plain JSON, since
 * it is stored with the relation. A tree: the source leaves out types below a bounded depth, and they are text.
 */

/** The type of a column, an element, an attribute or a bound. */
export interface ColumnType {
  /**
   * Type name as the source's catalogue spells it, element type prefixed with `_` for arrays (`int4`, `_text`). With
   * `custom` it is a label: it may be the name of a built-in type, too.
   */
  readonly type: string;
  /** Source type id (Postgres: OID); 0 where the source has none. */
  readonly typeId: number;
  /** Absent for built-in types, for containers of nothing but those, and where nothing is known. */
  readonly custom?: CustomType;
}

export type CustomType =
  | { readonly kind: 'enum' }
  /** Values are written as those of `base`. */
  | { readonly kind: 'domain'; readonly base: ColumnType }
  | { readonly kind: 'range'; readonly subtype: ColumnType }
  | { readonly kind: 'multirange'; readonly subtype: ColumnType }
  | { readonly kind: 'array'; readonly element: ColumnType; readonly delimiter: string }
  /** Attributes in the order in which a value has them. */
  | { readonly kind: 'composite'; readonly attributes: readonly (ColumnType & { readonly name: string })[] };

/** What expressions of a stream read while it is planned: columns and array elements of its sources, and the request. */
import type { RequestValues } from '../request-values.ts';
import type { Range } from '../sql/ast.ts';
import type { Value } from '../value.ts';

/** Place of a source among the sources of one query. */
export type SourceId = number;

export interface ColumnInput {
  readonly kind: 'column';
  readonly source: SourceId;
  readonly name: string;
  /** In the document, for diagnostics. */
  readonly at: Range;
}

export type ElementField = 'key' | 'value';

/** A column of `json_each`. */
export interface ElementInput {
  readonly kind: 'element';
  readonly source: SourceId;
  readonly field: ElementField;
  readonly at: Range;
}

export interface RequestInput {
  readonly kind: 'request';
  readonly value: 'userId' | 'token' | 'connection' | 'subscription';
  readonly at: Range;
}

export type StreamInput = ColumnInput | ElementInput | RequestInput;

/** A request as one subscription to a stream sees it. */
export interface RequestContext {
  readonly values: RequestValues;
  /** Parameters of the subscription as JSON text; null for a default. */
  readonly subscription: string | null;
}

export function readRequest({ value }: RequestInput): (context: RequestContext) => Value {
  switch (value) {
    case 'userId':
      return ({ values }) => values.userId;
    case 'token':
      return ({ values }) => values.tokenText;
    case 'connection':
      return ({ values }) => values.connectionText;
    case 'subscription':
      return ({ subscription }) => subscription;
  }
}

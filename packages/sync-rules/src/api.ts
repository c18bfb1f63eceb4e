/**
 * What the rest of the product sees of sync rules: a parsed document with its diagnostics, evaluators for the rows of
 * one table, and the resolution of one client's request to buckets. Nothing here knows a driver, a socket or a storage.
 */
import type { ByteRows, ByteSpace, RawRow } from '@sluice/core';
import type { TableShape } from './table-shape.ts';
import type { TypedValue } from './types/typed-values.ts';

export interface Diagnostic {
  readonly severity: 'fatal' | 'warning';
  /** Stable code of the diagnostic, documented in docs/sync-rules.md. */
  readonly code: string;
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
  /** Half-open range of UTF-16 offsets into the YAML text. */
  readonly start: number;
  readonly end: number;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
  /** The covered text. */
  readonly text: string;
}

export interface ParseOptions {
  /** Schema of table names written without one: `public` for Postgres. */
  readonly defaultSchema: string;
  /** Put before every bucket name, e.g. `12#`; empty for none. */
  readonly bucketPrefix?: string;
  /** The source's tables, where known: unknown tables and columns become warnings. */
  readonly schema?: SourceSchema;
}

export interface SourceSchema {
  readonly tables: readonly {
    readonly schema: string;
    readonly name: string;
    readonly columns: readonly { readonly name: string; readonly type: string }[];
  }[];
}

export interface ParsedRules {
  readonly diagnostics: readonly Diagnostic[];
  /** Null if there is at least one fatal diagnostic. */
  readonly rules: SyncRules | null;
}

/** One deployed YAML, compiled. Immutable. */
export interface SyncRules {
  /** Hash of the normalised meaning of the whole document. */
  readonly hash: string;
  readonly definitions: readonly DefinitionInfo[];
  /** Tables whose rows the rules read. */
  readonly tablePatterns: readonly TablePattern[];
  /** Null if the rules do not read the table. Compiled once per (rules, table shape); cheap to call per relation. */
  compileTable(table: TableShape): RowEvaluator | null;
  /** As `compileTable`, for rows as bytes: the same outputs. */
  compileByteTable(table: TableShape): ByteRowEvaluator | null;
  /** As `compileTable`, for a source that decodes its values itself. */
  compileTypedTable(table: TableShape): TypedRowEvaluator | null;
  /** One client connection. Throws nothing: errors of single subscriptions are in the result. */
  resolve(request: SyncRequest): RequestResolution;
}

export interface DefinitionInfo {
  readonly name: string;
  readonly kind: 'bucket_definition' | 'stream';
  /** Hash of the definition's own normalised meaning. */
  readonly hash: string;
  readonly isDefault: boolean;
}

export interface TablePattern {
  readonly connectionTag: string;
  readonly schema: string;
  /** Without the trailing `%` if `wildcard`. */
  readonly name: string;
  readonly wildcard: boolean;
}

export interface RowEvaluator {
  /** Positions of the columns that its outputs depend on; if it does not say, on all. */
  readonly reads?: readonly number[];
  /**
   * Evaluates one complete row (no `undefined` among the columns used). Calls the sink in a fixed order. Never throws
   * for what a row may contain: such errors go to `sink.error` and drop one query's output only.
   */
  evaluate(row: RawRow, sink: RowSink): void;
}

/** As `RowEvaluator`, for copied rows: the one that `rows` looks at. */
export interface ByteRowEvaluator {
  evaluate(rows: ByteRows, sink: RowSink<JsonBytes>): void;
}

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

/** As `RowEvaluator`, for rows of values in the order of the table's columns. */
export interface TypedRowEvaluator {
  evaluate(row: readonly TypedValue[], sink: RowSink): void;
}

export interface RowSink<Json = string> {
  /** `json`: the synced object, sent byte for byte. The same (bucket, type, id) may come more than once. */
  data(bucket: string, objectType: string, objectId: ObjectId<Json>, json: Json): void;
  /** `key`: canonical text of the lookup tuple. `parameterSets`: JSON array text of the parameter sets it leads to. */
  lookup(key: string, parameterSets: string): void;
  error(definition: string, message: string): void;
}

export interface SyncRequest {
  /** Verified token payload. */
  readonly token: Readonly<Record<string, unknown>>;
  /** Client ("connection") parameters, untrusted. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly subscriptions: readonly Subscription[];
  readonly includeDefaults: boolean;
}

export interface Subscription {
  readonly stream: string;
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly overridePriority: number | null;
}

export interface RequestResolution {
  /** Streams in effect, in the order of the document: defaults (if included) and those subscribed to that exist. */
  readonly streams: readonly {
    readonly name: string;
    readonly isDefault: boolean;
    readonly errors: readonly { readonly subscription: number | 'default'; readonly message: string }[];
  }[];
  /** Buckets that depend on the request alone. */
  readonly staticBuckets: readonly ResolvedBucket[];
  /** Null if `staticBuckets` is all. */
  readonly dynamic: DynamicResolution | null;
}

export interface DynamicResolution {
  /**
   * Finds the other buckets, as of one checkpoint.
   * @param lookup for each key, the parameter-sets texts of all source rows that have it
   */
  resolve(lookup: (keys: readonly string[]) => Promise<readonly (readonly string[])[]>): Promise<DynamicResult>;
}

export interface DynamicResult {
  /** Static and dynamic buckets together, one entry a bucket. */
  readonly buckets: readonly ResolvedBucket[];
  /** Every lookup key that was asked for: resolve again when one of them changes. */
  readonly lookups: readonly string[];
  readonly errors: readonly {
    readonly stream: string;
    readonly subscription: number | 'default';
    readonly message: string;
  }[];
}

export type BucketReason =
  | { /** Of the stream of that name. */ readonly default: string }
  | { readonly subscription: number };

export interface ResolvedBucket {
  readonly bucket: string;
  readonly priority: number;
  readonly definition: string;
  /** Why the connection has it: as a default, or by the subscription at that index. */
  readonly reasons: readonly BucketReason[];
}

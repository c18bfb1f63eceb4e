/**
 * What the rest of the product sees of sync rules: a parsed document with its diagnostics, evaluators for the rows of
 * one table, and the resolution of one client's request to buckets. Nothing here knows a driver, a socket or a storage.
 */
import type { ByteRows, RawRow } from '@sluice/core';
import type { JsonBytes, ObjectId } from './synced-bytes.ts';
import type { TableShape } from './table-shape.ts';
import type { TypedValue } from './types/typed-values.ts';

export type { JsonBytes, JsonForm, MemberBytes, ObjectId } from './synced-bytes.ts';

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

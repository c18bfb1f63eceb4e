/**
 * What a definition of the document (a bucket definition or a stream) does once it is compiled. `rules.ts` puts the
 * definitions of a document together; it knows no difference between the kinds.
 */
import type { DefinitionInfo, ResolvedBucket, RowSink, SourceSchema, TablePattern } from './api.ts';
import type { Compatibility } from './compatibility.ts';
import type { Diagnostics } from './diagnostics.ts';
import type { RequestValues } from './request-values.ts';
import type { TableCompiler } from './table-compiler.ts';
import type { SyncedQuery } from './synced-query.ts';

/** What compiling a definition may need beside its own source. */
export interface CompileContext {
  readonly compatibility: Compatibility;
  /** Schema of table names written without one. */
  readonly defaultSchema: string;
  /** Put before every bucket name; empty for none. */
  readonly bucketPrefix: string;
  readonly schema: SourceSchema | null;
  readonly diagnostics: Diagnostics;
}

export interface Definition {
  readonly name: string;
  readonly kind: DefinitionInfo['kind'];
  /** Whether clients get it without a subscription. */
  readonly isDefault: boolean;
  /** Canonical text of what the definition means: equal meaning, equal text. Positions and spelling are not in it. */
  readonly meaning: string;
  /** Tables it reads; may repeat. */
  readonly tablePatterns: readonly TablePattern[];
  /** What its queries sync. */
  readonly synced: readonly SyncedQuery[];
  /** Its part of the work on rows of one table; null if it does not read the table. */
  compileTable<Row, Json>(compiler: TableCompiler<Row, Json>): RowPart<Row, Json> | null;
  /** Throws nothing: what goes wrong with one activation is in the result. */
  resolve(request: RequestValues, activations: readonly Activation[]): DefinitionResolution;
}

/**
 * Evaluates one row. Each query of the definition is isolated: an `EvaluationError` in one goes to `sink.error` with
 * the definition's name and leaves the others alone.
 */
export type RowPart<Row, Json> = (row: Row, sink: RowSink<Json>) => void;

/** One reason for which a client has a definition. */
export interface Activation {
  readonly reason: ResolvedBucket['reasons'][number];
  /** Parameters of the subscription; null for none, and for defaults. */
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly overridePriority: number | null;
}

export interface ActivationError {
  readonly subscription: number | 'default';
  readonly message: string;
}

export interface DefinitionResolution {
  /** Known from the request alone. The same bucket may come more than once: the rules merge. */
  readonly buckets: readonly ResolvedBucket[];
  /** Each finds more buckets by lookups. */
  readonly queriers: readonly BucketQuerier[];
  readonly errors: readonly ActivationError[];
}

/** Reads the parameter index as of one checkpoint: for each key, the parameter-sets texts of all rows that have it. */
export type LookupReader = (keys: readonly string[]) => Promise<readonly (readonly string[])[]>;

export type BucketQuerier = (lookup: LookupReader) => Promise<{
  readonly buckets: readonly ResolvedBucket[];
  readonly errors: readonly ActivationError[];
}>;

/** As the reason of an error. */
export function errorSubject(reason: Activation['reason']): ActivationError['subscription'] {
  return 'default' in reason ? 'default' : reason.subscription;
}

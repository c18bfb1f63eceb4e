/** A sync rules document after the checks of its structure, before any SQL is looked at. */
import type { Compatibility } from './compatibility.ts';
import type { Range } from './sql/ast.ts';

/** One SQL text with its place in the document. */
export interface SqlScalar {
  readonly sql: string;
  /** The whole text in the document, without quotes and block headers. */
  readonly range: Range;
  /** Offsets into `sql` to offsets into the document. */
  readonly toDocument: (range: Range) => Range;
}

export interface BucketDefinitionSource {
  readonly name: string;
  readonly keyRange: Range;
  /** Null: no `parameters` key. */
  readonly parameters: readonly SqlScalar[] | null;
  readonly data: readonly SqlScalar[];
  /** Null: not given. */
  readonly priority: number | null;
  readonly acceptDangerous: boolean;
}

export interface CteSource {
  readonly name: string;
  readonly keyRange: Range;
  readonly sql: SqlScalar;
}

export interface StreamSource {
  readonly name: string;
  readonly keyRange: Range;
  readonly queries: readonly SqlScalar[];
  readonly ctes: readonly CteSource[];
  readonly autoSubscribe: boolean;
  readonly priority: number | null;
  readonly acceptDangerous: boolean;
}

export interface EventSource {
  readonly name: string;
  readonly payloads: readonly SqlScalar[];
}

export interface RulesDocument {
  readonly compatibility: Compatibility;
  readonly bucketDefinitions: readonly BucketDefinitionSource[];
  readonly streams: readonly StreamSource[];
  /** CTEs of the top-level `with`. */
  readonly ctes: readonly CteSource[];
  readonly events: readonly EventSource[];
}

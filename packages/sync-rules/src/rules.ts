/** The definitions of one document put together: one evaluator a table, one resolution a request. */
import { createHash } from 'node:crypto';
import type {
  ByteRowEvaluator,
  DefinitionInfo,
  DynamicResolution,
  DynamicResult,
  RequestResolution,
  ResolvedBucket,
  RowEvaluator,
  RowSink,
  SyncRequest,
  SyncRules,
  TablePattern,
  TypedRowEvaluator,
} from './api.ts';
import type { TableShape } from './table-shape.ts';
import type { Compatibility } from './compatibility.ts';
import type { Activation, BucketQuerier, Definition } from './definition.ts';
import { lookupBatches } from './lookup-batches.ts';
import { RequestValues } from './request-values.ts';
import type { RowFormat } from './row-format.ts';
import { textRows } from './text-rows.ts';
import { TableCompiler } from './table-compiler.ts';
import { matchesTable, tablePatternText } from './table-pattern.ts';
import { postgresByteFormat } from './types/postgres-bytes.ts';
import { postgresFormat } from './types/postgres-format.ts';
import { typedFormat } from './types/typed-values.ts';

/** Evaluates rows of one format. */
interface EvaluatorOf<Row, Json> {
  readonly reads: readonly number[];
  evaluate(row: Row, sink: RowSink<Json>): void;
}

export class CompiledRules implements SyncRules {
  readonly hash: string;
  readonly definitions: readonly DefinitionInfo[];
  readonly tablePatterns: readonly TablePattern[];
  readonly #compatibility: Compatibility;
  readonly #definitions: readonly Definition[];

  constructor(definitions: readonly Definition[], compatibility: Compatibility) {
    this.#definitions = definitions;
    this.#compatibility = compatibility;
    const options = JSON.stringify(compatibility);
    this.definitions = definitions.map(({ name, kind, isDefault, meaning }) => {
      return { name, kind, isDefault, hash: hashOf(`${options} ${meaning}`) };
    });
    this.hash = hashOf(this.definitions.map(({ hash }) => hash).join());
    const patterns = definitions.flatMap(({ tablePatterns }) => tablePatterns);
    this.tablePatterns = [...new Map(patterns.map((pattern) => [tablePatternText(pattern), pattern])).values()];
  }

  compileTable(table: TableShape): RowEvaluator | null {
    return this.#compile(table, textRows(postgresFormat(this.#compatibility)));
  }

  compileByteTable(table: TableShape): ByteRowEvaluator | null {
    return this.#compile(table, postgresByteFormat(this.#compatibility));
  }

  compileTypedTable(table: TableShape): TypedRowEvaluator | null {
    return this.#compile(table, textRows(typedFormat(this.#compatibility)));
  }

  #compile<Row, Json>(table: TableShape, format: RowFormat<Row, Json>): EvaluatorOf<Row, Json> | null {
    if (!this.tablePatterns.some((pattern) => matchesTable(pattern, table))) return null;
    const compiler = new TableCompiler(table, format);
    const parts = this.#definitions.flatMap((definition) => definition.compileTable(compiler) ?? []);
    if (parts.length === 0) return null;
    return {
      reads: compiler.reads,
      evaluate: (row, sink) => {
        compiler.nextRow();
        for (const part of parts) part(row, sink);
      },
    };
  }

  resolve(request: SyncRequest): RequestResolution {
    const values = new RequestValues(request.token, request.parameters);
    const streams: RequestResolution['streams'][number][] = [];
    const staticBuckets: ResolvedBucket[] = [];
    const queriers: NamedQuerier[] = [];
    for (const definition of this.#definitions) {
      const activations = activationsOf(definition, request);
      const wanted = activations.length > 0 || (definition.isDefault && request.includeDefaults);
      if (!wanted) continue;
      const { buckets, queriers: found, errors } = definition.resolve(values, activations);
      streams.push({ name: definition.name, isDefault: definition.isDefault, errors });
      for (const bucket of buckets) staticBuckets.push(bucket);
      for (const querier of found) queriers.push({ stream: definition.name, querier });
    }
    const merged = mergeBuckets(staticBuckets);
    return { streams, staticBuckets: merged, dynamic: queriers.length === 0 ? null : dynamicOf(merged, queriers) };
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/**
 * Why this client has the definition: its subscriptions, then the default, unless a subscription without parameters
 * stands for that. Bucket definitions have no subscriptions.
 */
function activationsOf({ name, kind, isDefault }: Definition, request: SyncRequest): Activation[] {
  const activations: Activation[] = [];
  if (kind === 'stream') {
    for (const [index, { stream, parameters, overridePriority }] of request.subscriptions.entries()) {
      if (stream === name) activations.push({ reason: { subscription: index }, parameters, overridePriority });
    }
  }
  const standsForDefault = activations.some(({ parameters }) => parameters === null);
  if (isDefault && request.includeDefaults && !standsForDefault) {
    activations.push({ reason: { default: name }, parameters: null, overridePriority: null });
  }
  return activations;
}

/** One entry a bucket: reasons one after the other, the lowest priority. */
function mergeBuckets(buckets: readonly ResolvedBucket[]): ResolvedBucket[] {
  const merged = new Map<string, ResolvedBucket>();
  for (const bucket of buckets) {
    const known = merged.get(bucket.bucket);
    if (known === undefined) merged.set(bucket.bucket, bucket);
    else {
      const priority = Math.min(known.priority, bucket.priority);
      merged.set(bucket.bucket, { ...known, priority, reasons: [...known.reasons, ...bucket.reasons] });
    }
  }
  return [...merged.values()];
}

interface NamedQuerier {
  readonly stream: string;
  readonly querier: BucketQuerier;
}

function dynamicOf(staticBuckets: readonly ResolvedBucket[], queriers: readonly NamedQuerier[]): DynamicResolution {
  return {
    resolve: async (lookup): Promise<DynamicResult> => {
      const batches = lookupBatches(lookup);
      const results = await Promise.all(queriers.map(({ querier }) => querier(batches.read)));
      const errors = results.flatMap((result, index) =>
        result.errors.map((error) => ({ stream: queriers[index]?.stream ?? '', ...error })),
      );
      const buckets = mergeBuckets([...staticBuckets, ...results.flatMap((result) => result.buckets)]);
      return { buckets, lookups: batches.keys(), errors };
    },
  };
}

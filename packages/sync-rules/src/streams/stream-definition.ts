/** One stream, compiled. */
import type { DefinitionInfo, ResolvedBucket, TablePattern } from '../api.ts';
import type {
  Activation,
  ActivationError,
  BucketQuerier,
  Definition,
  DefinitionResolution,
  LookupReader,
  RowPart,
} from '../definition.ts';
import { errorSubject } from '../definition.ts';
import { EvaluationError } from '../evaluation-error.ts';
import type { JsonMode } from '../json-path.ts';
import { parametersText, type RequestValues } from '../request-values.ts';
import type { TableCompiler } from '../table-compiler.ts';
import { matchesTable } from '../table-pattern.ts';
import type { SyncedQuery } from '../synced-query.ts';
import type { RequestContext } from './input.ts';
import { type BucketRowPlan, bucketRowText, type IndexPlan, indexText, type RequestPlan, requestText } from './plan.ts';
import { type BucketSearch, compileRequest } from './request-side.ts';
import { compileBucketRows, compileIndexRows, type RowStep, syncedQuery } from './row-side.ts';

const PRIORITY_DEFAULT = 3;

/** A kind of bucket: its name before the parameters, its rows, and how requests come to it. */
export interface StreamBucket {
  readonly name: string;
  readonly rows: readonly BucketRowPlan[];
  readonly request: RequestPlan;
}

export interface StreamParts {
  readonly name: string;
  readonly isDefault: boolean;
  /** Null: not given. */
  readonly priority: number | null;
  /** Put before the names of buckets; no part of what the stream means. */
  readonly bucketPrefix: string;
  readonly buckets: readonly StreamBucket[];
  /** Buckets whose rows another stream of the document brings; they have that stream's name. */
  readonly sharedBuckets: ReadonlySet<string>;
  /** Indexes that this stream fills: those that no earlier stream fills. */
  readonly indexes: readonly IndexPlan[];
  readonly mode: JsonMode;
  readonly nullParameters: boolean;
}

interface CompiledBucket {
  readonly name: string;
  readonly search: (context: RequestContext) => BucketSearch;
}

export class StreamDefinition implements Definition {
  readonly name: string;
  readonly kind: DefinitionInfo['kind'] = 'stream';
  readonly isDefault: boolean;
  readonly meaning: string;
  readonly tablePatterns: readonly TablePattern[];
  readonly synced: readonly SyncedQuery[];
  readonly #parts: StreamParts;
  readonly #rows: readonly { readonly bucket: string; readonly plan: BucketRowPlan }[];
  readonly #buckets: readonly CompiledBucket[];
  readonly #priority: number;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.isDefault = parts.isDefault;
    this.#priority = parts.priority ?? PRIORITY_DEFAULT;
    this.#rows = ownRows(parts);
    this.#buckets = parts.buckets.map(({ name, request }) => ({ name, search: compileRequest(request, parts) }));
    this.tablePatterns = parts.buckets.flatMap(tablesOf);
    this.synced = parts.buckets.flatMap(({ rows }) => rows.map(syncedQuery));
    this.meaning = meaningOf(parts);
  }

  compileTable<Row, Json>(compiler: TableCompiler<Row, Json>): RowPart<Row, Json> | null {
    const options = { compiler, mode: this.#parts.mode, definition: this.name };
    const reads = ({ table }: { readonly table: TablePattern }): boolean => matchesTable(table, compiler.table);
    const steps: RowStep<Row, Json>[] = [
      ...this.#rows
        .filter(({ plan }) => reads(plan))
        .map(({ bucket, plan }) => compileBucketRows(plan, this.#parts.bucketPrefix + bucket, options)),
      ...this.#parts.indexes.filter(reads).map((index) => compileIndexRows(index, options)),
    ];
    if (steps.length === 0) return null;
    return (row, sink) => {
      for (const step of steps) step(row, sink);
    };
  }

  resolve(values: RequestValues, activations: readonly Activation[]): DefinitionResolution {
    const buckets: ResolvedBucket[] = [];
    const queriers: BucketQuerier[] = [];
    const errors: ActivationError[] = [];
    for (const activation of activations) {
      const { parameters, reason } = activation;
      const context = { values, subscription: parameters === null ? null : parametersText(parameters) };
      for (const bucket of this.#buckets) {
        const start = () => bucket.search(context);
        try {
          const first = start().next();
          if (first.done) buckets.push(...this.#resolved(bucket.name, first.value, activation));
          else queriers.push(this.#querier(bucket.name, start, activation));
        } catch (error) {
          errors.push(activationError(error, reason));
        }
      }
    }
    return { buckets, queriers, errors: distinctErrors(errors) };
  }

  #querier(bucket: string, start: () => BucketSearch, activation: Activation): BucketQuerier {
    return async (lookup) => {
      try {
        return { buckets: this.#resolved(bucket, await finish(start(), lookup), activation), errors: [] };
      } catch (error) {
        return { buckets: [], errors: [activationError(error, activation.reason)] };
      }
    };
  }

  #resolved(bucket: string, parameters: readonly string[], activation: Activation): ResolvedBucket[] {
    const priority = activation.overridePriority ?? this.#priority;
    return parameters.map((text) => ({
      bucket: this.#parts.bucketPrefix + bucket + text,
      priority,
      definition: this.name,
      reasons: [activation.reason],
    }));
  }
}

/** Several kinds of buckets may stumble over the same value. */
function distinctErrors(errors: readonly ActivationError[]): readonly ActivationError[] {
  return [...new Map(errors.map((error) => [JSON.stringify(error), error])).values()];
}

/** Runs a search to its end. */
async function finish(search: BucketSearch, lookup: LookupReader): Promise<readonly string[]> {
  let step = search.next();
  while (!step.done) step = search.next(await lookup(step.value));
  return step.value;
}

/** Only what the request's own values cause is the subscription's error. */
function activationError(error: unknown, reason: Activation['reason']): ActivationError {
  if (!(error instanceof EvaluationError)) throw error;
  return { subscription: errorSubject(reason), message: error.message };
}

/** Also of rows and indexes that another stream brings: this one cannot be served without them. */
function tablesOf({ rows, request }: StreamBucket): TablePattern[] {
  const indexes = request.stages.flatMap((stage) => (stage.kind === 'index' ? [stage.index] : []));
  return [...rows, ...indexes].map(({ table }) => table);
}

/** Rows of one bucket are brought once, though several ways may lead to it. */
function ownRows({ buckets, sharedBuckets }: StreamParts): { bucket: string; plan: BucketRowPlan }[] {
  const own = new Map<string, { bucket: string; plan: BucketRowPlan }>();
  for (const { name, rows } of buckets) {
    if (sharedBuckets.has(name)) continue;
    for (const plan of rows) own.set(JSON.stringify([name, bucketRowText(plan)]), { bucket: name, plan });
  }
  return [...own.values()];
}

function meaningOf({ name, isDefault, priority, buckets, indexes }: StreamParts): string {
  return `stream(${JSON.stringify([
    [name, isDefault, priority],
    buckets.map((bucket) => [bucket.name, bucket.rows.map(bucketRowText), requestText(bucket.request)]),
    indexes.map(indexText),
  ])})`;
}

/** A bucket definition, compiled: data queries and parameter queries that agree on the names of the parameters. */
import type { DefinitionInfo, TablePattern } from '../api.ts';
import { jsonMode } from '../compatibility.ts';
import type { Activation, CompileContext, Definition, DefinitionResolution, RowPart } from '../definition.ts';
import type { BucketDefinitionSource } from '../document.ts';
import { EvaluationError } from '../evaluation-error.ts';
import { Reporter } from '../reporter.ts';
import type { RequestValues } from '../request-values.ts';
import type { TableCompiler } from '../table-compiler.ts';
import type { SyncedQuery } from '../synced-query.ts';
import { compileDataQuery, type DataQuery, dataQueryText, readDataQuery, syncedQuery } from './data-query.ts';
import { compileTableQuery, parameterQueryText } from './lookup-rows.ts';
import { everyoneQuery, type ParameterQuery, type TableQuery } from './parameter-plan.ts';
import { readParameterQuery } from './parameter-query.ts';
import { type BucketNaming, RequestResolver } from './request-buckets.ts';

const PRIORITY_DEFAULT = 3;

/** Null if anything is wrong; everything wrong has been reported then. */
export function readBucketDefinition(source: BucketDefinitionSource, context: CompileContext): Definition | null {
  const parameters = readParameters(source, context);
  const data = source.data.map((scalar) =>
    readDataQuery(scalar, { context, parameters: parameters === null ? null : parameters.names }),
  );
  const dataQueries = data.filter((query) => query !== null);
  if (parameters === null || parameters.queries === null || dataQueries.length < data.length) return null;
  return new BucketDefinition(source, context, { ...parameters, queries: parameters.queries, data: dataQueries });
}

interface Parameters {
  /** In the order of the first query: that of the bucket's name. */
  readonly names: readonly string[];
  /** Null if one of them is wrong. */
  readonly queries: readonly ParameterQuery[] | null;
}

/** Null if no query can be understood, so that nothing is known of the parameters. */
function readParameters(source: BucketDefinitionSource, context: CompileContext): Parameters | null {
  if (source.parameters === null) return { names: [], queries: [everyoneQuery] };
  const { acceptDangerous, priority } = source;
  const queries: (ParameterQuery | null)[] = [];
  let names: readonly string[] | null = null;
  for (const [index, scalar] of source.parameters.entries()) {
    const options = { context, id: String(index + 1), hasPriority: priority !== null, acceptDangerous };
    const read = readParameterQuery(scalar, options);
    queries.push(read === null ? null : read.query);
    if (read === null) continue;
    names ??= read.names;
    if (!sameNames(names, read.names)) {
      const subject = `${read.names.join(', ')} instead of ${names.join(', ')}`;
      new Reporter(scalar, context.diagnostics).addWhole('different-parameters', subject);
    }
  }
  const usable = queries.filter((query) => query !== null);
  return names === null ? null : { names, queries: usable.length < queries.length ? null : usable };
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}

interface Queries {
  readonly names: readonly string[];
  readonly queries: readonly ParameterQuery[];
  readonly data: readonly DataQuery[];
}

class BucketDefinition implements Definition {
  readonly name: string;
  readonly kind: DefinitionInfo['kind'] = 'bucket_definition';
  readonly isDefault = true;
  readonly meaning: string;
  readonly tablePatterns: readonly TablePattern[];
  readonly synced: readonly SyncedQuery[];
  readonly #data: readonly DataQuery[];
  readonly #tableQueries: readonly TableQuery[];
  readonly #resolver: RequestResolver;
  /** The bucket's name up to the values of its parameters. */
  readonly #bucketHead: string;

  constructor(source: BucketDefinitionSource, context: CompileContext, { names, queries, data }: Queries) {
    const priority = source.priority ?? PRIORITY_DEFAULT;
    this.name = source.name;
    this.#data = data;
    this.synced = data.map(syncedQuery);
    this.#tableQueries = queries.filter((query) => query.kind === 'table');
    this.#bucketHead = context.bucketPrefix + source.name;
    const naming: BucketNaming = { definition: source.name, head: this.#bucketHead, names, priority };
    this.#resolver = new RequestResolver(naming, queries, jsonMode(context.compatibility));
    this.tablePatterns = [...data, ...this.#tableQueries].map(({ pattern }) => pattern);
    const texts = [...queries.map(parameterQueryText), ...data.map(dataQueryText)];
    this.meaning = `bucket_definition(${JSON.stringify([source.name, priority, names])} ${texts.join(' ')})`;
  }

  compileTable<Row, Json>(compiler: TableCompiler<Row, Json>): RowPart<Row, Json> | null {
    const data = this.#data.map((query) => compileDataQuery(query, compiler, this.#bucketHead));
    const lookups = this.#tableQueries.map((query) => compileTableQuery(query, compiler, this.name));
    const parts = [...data, ...lookups].filter((part) => part !== null);
    return parts.length === 0 ? null : isolated(this.name, parts);
  }

  resolve(request: RequestValues, activations: readonly Activation[]): DefinitionResolution {
    return this.#resolver.resolve(request, activations);
  }
}

/** An error in one query drops what that query makes of the row, and nothing else. */
function isolated<Row, Json>(definition: string, parts: readonly RowPart<Row, Json>[]): RowPart<Row, Json> {
  return (row, sink) => {
    for (const part of parts) {
      try {
        part(row, sink);
      } catch (error) {
        if (!(error instanceof EvaluationError)) throw error;
        sink.error(definition, error.message);
      }
    }
  };
}

/** The request side of a bucket definition: which of its buckets one client gets. */
import type { ResolvedBucket } from '../api.ts';
import {
  type Activation,
  type ActivationError,
  type BucketQuerier,
  type DefinitionResolution,
  errorSubject,
} from '../definition.ts';
import { EvaluationError } from '../evaluation-error.ts';
import { compilePlan, type Getter } from '../expression/compile.ts';
import { jsonEach } from '../functions/json-each.ts';
import { bigParse, bucketJson, isArray, isObject, type JsonValue } from '../json.ts';
import type { JsonMode } from '../json-path.ts';
import type { RequestValues } from '../request-values.ts';
import { isBlob, isTrue, type Value } from '../value.ts';
import { bindRequest, type RequestContext } from './input.ts';
import { lookupKeys } from './lookup-rows.ts';
import type { ElementsQuery, ParameterQuery, StaticQuery, TableQuery } from './parameter-plan.ts';

export interface BucketNaming {
  readonly definition: string;
  /** The bucket's name up to the values of its parameters. */
  readonly head: string;
  /** Parameters in the order of the name. */
  readonly names: readonly string[];
  readonly priority: number;
}

/** Values by parameter name; a blob anywhere means there is no bucket. */
type ParameterSet = Readonly<Record<string, Value | JsonValue>>;

export class RequestResolver {
  readonly #naming: BucketNaming;
  readonly #immediate: readonly ImmediateQuery[];
  readonly #indexed: readonly IndexedQuery[];

  constructor(naming: BucketNaming, queries: readonly ParameterQuery[], mode: JsonMode) {
    this.#naming = naming;
    this.#immediate = queries.flatMap((query) => (query.kind === 'table' ? [] : immediateQuery(query, mode)));
    this.#indexed = queries.flatMap((query) => (query.kind === 'table' ? indexedQuery(query, naming.definition) : []));
  }

  resolve(request: RequestValues, activations: readonly Activation[]): DefinitionResolution {
    const buckets: ResolvedBucket[] = [];
    const queriers: BucketQuerier[] = [];
    const errors: ActivationError[] = [];
    const context: RequestContext = { request, element: null };
    for (const activation of activations) {
      const attempt = (work: () => void): void => {
        try {
          work();
        } catch (error) {
          if (!(error instanceof EvaluationError)) throw error;
          errors.push({ subscription: errorSubject(activation.reason), message: error.message });
        }
      };
      for (const query of this.#immediate) {
        attempt(() => buckets.push(...this.#named(query.parameterSets(context), query.priority, activation)));
      }
      for (const query of this.#indexed) {
        attempt(() => {
          const querier = this.#querier(query, context, activation);
          if (querier !== null) queriers.push(querier);
        });
      }
    }
    return { buckets, queriers, errors };
  }

  #querier(query: IndexedQuery, context: RequestContext, activation: Activation): BucketQuerier | null {
    const keys = query.keys(context);
    if (keys.length === 0) return null;
    const computed = query.computed(context);
    return async (lookup) => {
      const found = await lookup(keys);
      const sets = found.flat().flatMap((text) => storedSets(text));
      const merged = sets.map((stored) => ({ ...stored, ...computed }));
      return { buckets: this.#named(merged, query.priority, activation), errors: [] };
    };
  }

  #named(sets: readonly ParameterSet[], priority: number | null, activation: Activation): ResolvedBucket[] {
    const { definition, head, names } = this.#naming;
    const effective = activation.overridePriority ?? priority ?? this.#naming.priority;
    return sets.flatMap((set) => {
      const values: JsonValue[] = [];
      for (const name of names) {
        const value = Object.hasOwn(set, name) ? set[name] : null;
        if (value instanceof Uint8Array) return [];
        values.push(value ?? null);
      }
      return { bucket: head + bucketJson(values), priority: effective, definition, reasons: [activation.reason] };
    });
  }
}

/** A query that needs no index. */
interface ImmediateQuery {
  readonly priority: number | null;
  /** Throws EvaluationError. */
  parameterSets(context: RequestContext): readonly ParameterSet[];
}

function immediateQuery(query: StaticQuery | ElementsQuery, mode: JsonMode): ImmediateQuery {
  const passes = query.filter === null ? null : compilePlan(query.filter, bindRequest);
  const outputs = outputsOf(query.outputs);
  const one = (context: RequestContext): ParameterSet[] =>
    passes === null || isTrue(passes(context)) ? [outputs(context)] : [];
  if (query.kind === 'static') return { priority: query.priority, parameterSets: one };
  const array = compilePlan(query.array, bindRequest);
  return {
    priority: query.priority,
    parameterSets: (context) =>
      jsonEach(array(context), mode).flatMap((element) => one({ request: context.request, element })),
  };
}

function outputsOf(outputs: ParameterQuery['outputs']): (context: RequestContext) => ParameterSet {
  const computed = outputs
    .filter(({ stored }) => !stored)
    .map(({ name, plan }) => ({ name, read: compilePlan(plan, bindRequest) }));
  return (context) => Object.fromEntries(computed.map(({ name, read }) => [name, read(context)]));
}

/** A query that finds its parameter sets in the index. Both functions throw EvaluationError. */
interface IndexedQuery {
  readonly priority: number | null;
  /** Distinct keys; none if a request value fits no row. */
  keys(context: RequestContext): readonly string[];
  readonly computed: (context: RequestContext) => ParameterSet;
}

function indexedQuery(query: TableQuery, definition: string): IndexedQuery {
  const key = lookupKeys(definition, query);
  const slots = query.slots.map(({ plan, expand }) => ({ expand, read: compilePlan(plan, bindRequest) }));
  const keys = (context: RequestContext): readonly string[] => {
    let tuples: JsonValue[][] = [[]];
    for (const slot of slots) {
      const values = slotValues(slot, context);
      tuples = tuples.flatMap((tuple) => values.map((value) => [...tuple, value]));
    }
    return [...new Set(tuples.map((tuple) => key(tuple)))];
  };
  return { priority: query.priority, keys, computed: outputsOf(query.outputs) };
}

/** Empty if the slot's value fits no row: a blob, or no array where one is needed. */
function slotValues(
  { expand, read }: { readonly expand: boolean; readonly read: Getter<RequestContext> },
  context: RequestContext,
): readonly JsonValue[] {
  const value = read(context);
  if (isBlob(value)) return [];
  if (!expand) return [value ?? null];
  const elements = typeof value === 'string' ? parsedOrNull(value) : null;
  return isArray(elements) ? elements : [];
}

function parsedOrNull(text: string): JsonValue {
  try {
    return bigParse(text);
  } catch (error) {
    if (error instanceof EvaluationError) return null;
    throw error;
  }
}

function storedSets(text: string): ParameterSet[] {
  const sets = bigParse(text);
  return isArray(sets) ? sets.filter(isObject) : [];
}

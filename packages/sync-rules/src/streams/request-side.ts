/**
 * Which buckets of one plan a request has. Every stage extends each combination of outputs found so far by what it finds
 * for it, so values that come from one row stay together and independent ones multiply.
 */
import { EvaluationError } from '../evaluation-error.ts';
import { type Bind, compilePlan, type Getter } from '../expression/compile.ts';
import { jsonEach, type JsonEachRow } from '../functions/json-each.ts';
import { bigJson, bigParse, bucketJson, isArray, isObject, type JsonValue } from '../json.ts';
import type { JsonMode } from '../json-path.ts';
import { isBlob, isNull, isParameter, isTrue, normaliseParam, type ParameterValue, type Value } from '../value.ts';
import { readRequest, type RequestContext, type RequestInput } from './input.ts';
import { lookupKeys } from './lookup-key.ts';
import type { EachInput, EachStage, IndexStage, KeyReferences, RequestPlan, Stage } from './plan.ts';

/** Far more than a connection may have buckets. */
const COMBINATIONS_MAX = 200_000;

/** The outputs of each stage so far. */
type Combination = readonly (readonly ParameterValue[])[];

/** Asks for the parameter sets of lookup keys; is told them; ends with the texts of the buckets' parameters. */
export type BucketSearch = Generator<readonly string[], readonly string[], readonly (readonly string[])[]>;

export interface RequestSideOptions {
  readonly mode: JsonMode;
  /** Edition 2 has buckets for null parameters, in which there are no rows. */
  readonly nullParameters: boolean;
}

/** @throws EvaluationError (while searching) for request values that the plan cannot work with */
export function compileRequest(
  plan: RequestPlan,
  options: RequestSideOptions,
): (context: RequestContext) => BucketSearch {
  const filters = plan.filters.map((filter) => compilePlan(filter, readRequest));
  const stages = plan.stages.map((stage) => compileStage(stage, options));
  const parameters = plan.parameters.map(compileReferences);
  return function* search(context) {
    let passes = true;
    for (const filter of filters) if (!isTrue(filter(context))) passes = false;
    if (!passes) return [];
    let combinations: readonly Combination[] = [[]];
    for (const stage of stages) {
      combinations = stage.asks ? yield* stage.step(context, combinations) : stage.step(context, combinations);
      if (combinations.length === 0) return [];
    }
    const found = new Set<string>();
    for (const combination of combinations) {
      const values = parameters.map((parameter) => parameter(context, combination, options.nullParameters));
      if (!values.includes(undefined)) found.add(bucketJson(values));
    }
    return [...found];
  };
}

type IndexSteps = Generator<readonly string[], readonly Combination[], readonly (readonly string[])[]>;

/** A stage that asks reads the index; another knows from the request alone. */
type CompiledStage =
  | {
      readonly asks: true;
      readonly step: (context: RequestContext, combinations: readonly Combination[]) => IndexSteps;
    }
  | {
      readonly asks: false;
      readonly step: (context: RequestContext, combinations: readonly Combination[]) => readonly Combination[];
    };

function compileStage(stage: Stage, options: RequestSideOptions): CompiledStage {
  return stage.kind === 'index' ? compileIndexStage(stage) : compileEachStage(stage, options);
}

function compileIndexStage({ index, keys }: IndexStage): CompiledStage {
  const keyText = lookupKeys(index);
  const keyValues = keys.map(compileReferences);
  const outputCount = index.outputs.length;
  function* step(context: RequestContext, combinations: readonly Combination[]): IndexSteps {
    const byKey = new Map<string, Combination[]>();
    for (const combination of combinations) {
      const values = keyValues.map((value) => value(context, combination, false));
      const usable = values.filter(isParameter);
      if (usable.length < values.length) continue;
      const key = keyText(usable);
      const group = byKey.get(key);
      if (group === undefined) byKey.set(key, [combination]);
      else group.push(combination);
    }
    if (byKey.size === 0) return [];
    const found = yield [...byKey.keys()];
    const extended: Combination[] = [];
    for (const [at, group] of [...byKey.values()].entries()) {
      const rows = distinctOutputs(found[at] ?? [], outputCount);
      limitCombinations(extended.length + rows.length * group.length);
      for (const combination of group) for (const row of rows) extended.push([...combination, row]);
    }
    return extended;
  }
  return { asks: true, step };
}

/** Outputs of all rows that a key leads to. A set that lacks one leads nowhere. */
function distinctOutputs(parameterSets: readonly string[], outputCount: number): readonly ParameterValue[][] {
  const rows = new Map<string, ParameterValue[]>();
  for (const text of new Set(parameterSets)) {
    const sets = bigParse(text);
    for (const set of isArray(sets) ? sets : []) {
      const outputs = Array.from({ length: outputCount }, (_, output) => member(set, String(output))).filter(
        isParameter,
      );
      if (outputs.length === outputCount) rows.set(bigJson(outputs), outputs);
    }
  }
  return [...rows.values()];
}

function member(json: JsonValue, name: string): Value {
  const value = isObject(json) ? json[name] : undefined;
  return typeof value === 'object' || typeof value === 'boolean' ? null : value;
}

interface ElementContext {
  readonly request: RequestContext;
  readonly element: JsonEachRow;
}

function compileEachStage(
  { argument, filters, keys, outputs }: EachStage,
  { mode }: RequestSideOptions,
): CompiledStage {
  const array = compilePlan(argument, readRequest);
  const compile = (plan: EachStage['outputs'][number]): Getter<ElementContext> => compilePlan(plan, bindElement);
  const tests = filters.map(compile);
  const matches = keys.map(({ plan, references }) => ({ own: compile(plan), other: compileReferences(references) }));
  const values = outputs.map(compile);
  const step = (request: RequestContext, combinations: readonly Combination[]): readonly Combination[] => {
    const elements = jsonEach(array(request), mode)
      .map((element): ElementContext => ({ request, element }))
      .filter((context) => tests.every((test) => isTrue(test(context))));
    const rows = elements.flatMap((context) => {
      const row = values.map((value) => value(context)).filter(isParameter);
      return row.length === values.length ? [{ context, row }] : [];
    });
    limitCombinations(rows.length * combinations.length);
    return combinations.flatMap((combination) =>
      rows
        .filter(({ context }) =>
          matches.every(({ own, other }) => sameKey(own(context), other(request, combination, false))),
        )
        .map(({ row }): Combination => [...combination, row]),
    );
  };
  return { asks: false, step };
}

const bindElement: Bind<EachInput, ElementContext> = (input) => {
  if (input.kind === 'element') return ({ element }) => element[input.field];
  const read = readRequest(input satisfies RequestInput);
  return ({ request }) => read(request);
};

type ReferenceGetter = (
  context: RequestContext,
  combination: Combination,
  allowNull: boolean,
) => ParameterValue | null | undefined;

/** Undefined where the references have no usable value, or not all the same. */
function compileReferences(references: KeyReferences): ReferenceGetter {
  const getters = references.map((reference): ((context: RequestContext, combination: Combination) => Value) => {
    if (reference.kind === 'output') {
      const { stage, output } = reference;
      return (_, combination) => combination[stage]?.[output];
    }
    const get = compilePlan(reference.plan, readRequest);
    return (context) => get(context);
  });
  return (context, combination, allowNull) => {
    const [first, ...others] = getters.map((get) => get(context, combination));
    if (isNull(first)) return allowNull && others.length === 0 ? null : undefined;
    if (isBlob(first)) return undefined;
    return others.every((other) => sameKey(first, other)) ? first : undefined;
  };
}

/** As in an index: 5 and 5.0 are the same, '5' is another. */
function sameKey(left: Value, right: Value): boolean {
  if (!isParameter(left) || !isParameter(right)) return false;
  return normaliseParam(left) === normaliseParam(right);
}

function limitCombinations(count: number): void {
  if (count <= COMBINATIONS_MAX) return;
  throw new EvaluationError(`the stream leads to more than ${COMBINATIONS_MAX} combinations of values`);
}

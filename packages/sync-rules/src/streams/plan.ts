/**
 * What a stream is once it is planned: serialisable, free of names and places in the text, compared by canonical text.
 * One alternative of a query has a row side (which rows, with which keys) and a request side (which keys a client has).
 */
import type { TablePattern } from '../api.ts';
import { type Plan, planText } from '../expression/plan.ts';
import { type Projection, projectionText } from '../expression/projection.ts';
import { tablePatternText } from '../table-pattern.ts';
import type { ElementField, RequestInput } from './input.ts';

// --- rows ---------------------------------------------------------------------------------------------------------

export type RowInput =
  | { readonly kind: 'column'; readonly name: string }
  /** What a wildcard stands for in the name of the table. */
  | { readonly kind: 'tableSuffix' }
  /** `each`: place among the arrays of the row. */
  | { readonly kind: 'element'; readonly each: number; readonly field: ElementField };

/** Rows of a table, once for each combination of elements of their arrays. */
export interface RowPlan {
  readonly table: TablePattern;
  /** Arguments of `json_each`. */
  readonly eaches: readonly Plan<RowInput>[];
  /** All must be true. */
  readonly filters: readonly Plan<RowInput>[];
  /** None may be null or a blob. In canonical order. */
  readonly keys: readonly Plan<RowInput>[];
}

/** Rows that are synced, in buckets of their keys. */
export interface BucketRowPlan extends RowPlan {
  /** Null: the name of the table. */
  readonly outputName: string | null;
  readonly projection: Projection<RowInput>;
}

/** Rows that lead from their keys to their outputs. */
export interface IndexPlan extends RowPlan {
  readonly outputs: readonly Plan<RowInput>[];
}

// --- requests -----------------------------------------------------------------------------------------------------

/** A value that the request gives, or one found by an earlier stage. */
export type ValueReference =
  | { readonly kind: 'request'; readonly plan: Plan<RequestInput> }
  | { readonly kind: 'output'; readonly stage: number; readonly output: number };

/** One key: all its references must give the same value. */
export type KeyReferences = readonly ValueReference[];

export type EachInput = RequestInput | { readonly kind: 'element'; readonly field: ElementField };

/** Finds rows by their keys. */
export interface IndexStage {
  readonly kind: 'index';
  readonly index: IndexPlan;
  readonly keys: readonly KeyReferences[];
}

/** Elements of an array of the request. */
export interface EachStage {
  readonly kind: 'each';
  readonly argument: Plan<RequestInput>;
  readonly filters: readonly Plan<EachInput>[];
  readonly keys: readonly { readonly plan: Plan<EachInput>; readonly references: KeyReferences }[];
  readonly outputs: readonly Plan<EachInput>[];
}

export type Stage = IndexStage | EachStage;

/**
 * The buckets of a request: the filters must hold; each stage extends every combination found so far by what it finds;
 * each combination that is left at the end is a bucket. A stage that finds nothing leaves none.
 */
export interface RequestPlan {
  readonly filters: readonly Plan<RequestInput>[];
  readonly stages: readonly Stage[];
  /** Parameters of the bucket, in the order of the keys of its rows. */
  readonly parameters: readonly KeyReferences[];
}

// --- canonical texts ----------------------------------------------------------------------------------------------

export function rowInputText(input: RowInput): string {
  if (input.kind === 'column') return `[${JSON.stringify(input.name)}]`;
  return input.kind === 'element' ? `element${input.each}.${input.field}` : 'tableSuffix';
}

export function bucketRowText(row: BucketRowPlan): string {
  const projection = projectionText(row.projection, rowInputText);
  return JSON.stringify([...rowParts(row), row.outputName, projection]);
}

export function indexText(index: IndexPlan): string {
  return JSON.stringify([...rowParts(index), texts(index.outputs, rowInputText)]);
}

function rowParts({ table, eaches, filters, keys }: RowPlan): readonly unknown[] {
  return [
    tablePatternText(table),
    texts(eaches, rowInputText),
    [...texts(filters, rowInputText)].sort(),
    texts(keys, rowInputText),
  ];
}

export function requestText({ filters, stages, parameters }: RequestPlan): string {
  return JSON.stringify([
    [...texts(filters, requestInputText)].sort(),
    stages.map(stageParts),
    parameters.map(referenceTexts),
  ]);
}

function requestInputText({ value }: RequestInput): string {
  return `request.${value}`;
}

export function referenceText(reference: ValueReference): string {
  if (reference.kind === 'output') return `stage${reference.stage}.${reference.output}`;
  return planText(reference.plan, requestInputText);
}

function referenceTexts(references: KeyReferences): readonly string[] {
  return references.map(referenceText).sort();
}

function stageParts(stage: Stage): readonly unknown[] {
  if (stage.kind === 'index') return [indexText(stage.index), stage.keys.map(referenceTexts)];
  return [
    planText(stage.argument, requestInputText),
    [...texts(stage.filters, eachInputText)].sort(),
    stage.keys.map(({ plan, references }) => [planText(plan, eachInputText), referenceTexts(references)]),
    texts(stage.outputs, eachInputText),
  ];
}

export function eachInputText(input: EachInput): string {
  return input.kind === 'element' ? `element.${input.field}` : requestInputText(input);
}

function texts<Input>(plans: readonly Plan<Input>[], inputText: (input: Input) => string): readonly string[] {
  return plans.map((plan) => planText(plan, inputText));
}

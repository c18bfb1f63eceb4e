/**
 * WHERE of a query that depends on rows and on parameters. A condition maps a row to the parameter values for which it
 * holds; parameters are numbered slots, in the order of their first appearance.
 */
import { EvaluationError } from '../evaluation-error.ts';
import { type Bind, compilePlan, type Getter } from '../expression/compile.ts';
import { type Plan, planText } from '../expression/plan.ts';
import { bucketJson, type JsonValue } from '../json.ts';
import { jsonArray } from '../operators.ts';
import { isBlob, isNull, isTrue, type Value } from '../value.ts';
import { type Input, inputText } from './input.ts';

export type Condition =
  /** A test of the row alone. */
  | { readonly kind: 'filter'; readonly plan: Plan<Input> }
  /** `row = parameter`. */
  | { readonly kind: 'equal'; readonly slot: number; readonly row: Plan<Input> }
  /** `parameter IN row`, the row holding a JSON array. */
  | { readonly kind: 'contains'; readonly slot: number; readonly row: Plan<Input> }
  /** `row IN parameter`: the parameter is a JSON array, looked up element by element. */
  | { readonly kind: 'element'; readonly slot: number; readonly row: Plan<Input> }
  | { readonly kind: 'all'; readonly conditions: readonly Condition[] }
  | { readonly kind: 'any'; readonly conditions: readonly Condition[] };

/** A value for each slot that is bound; others undefined. */
export type Assignment = readonly JsonValue[];

const NONE: readonly Assignment[] = [];
/** Binds nothing, holds always. */
const ALWAYS: readonly Assignment[] = [[]];

export function slotsOf(condition: Condition): ReadonlySet<number> {
  if (condition.kind === 'filter') return new Set();
  if ('conditions' in condition) {
    return new Set(condition.conditions.flatMap((part) => [...slotsOf(part)]));
  }
  return new Set([condition.slot]);
}

/** Whether one row may hold for any number of parameter values. */
export function isUnbounded(condition: Condition): boolean {
  if ('conditions' in condition) return condition.conditions.some(isUnbounded);
  return condition.kind === 'contains';
}

export function conditionText(condition: Condition): string {
  if (condition.kind === 'filter') return planText(condition.plan, inputText);
  if ('conditions' in condition) {
    return `${condition.kind}(${condition.conditions.map(conditionText).join(' ')})`;
  }
  return `${condition.kind}(${condition.slot} ${planText(condition.row, inputText)})`;
}

/** The assignments for which a condition holds; may repeat. Throws EvaluationError for rows it cannot work with. */
export type Matcher<Row> = (row: Row) => readonly Assignment[];

export function compileCondition<Row>(condition: Condition, bind: Bind<Input, Row>): Matcher<Row> {
  switch (condition.kind) {
    case 'filter': {
      const test = compilePlan(condition.plan, bind);
      return (row) => (isTrue(test(row)) ? ALWAYS : NONE);
    }
    case 'equal':
      return equalMatcher(condition.slot, compilePlan(condition.row, bind), false);
    case 'element':
      return equalMatcher(condition.slot, compilePlan(condition.row, bind), true);
    case 'contains':
      return containsMatcher(condition.slot, compilePlan(condition.row, bind));
    case 'any': {
      const parts = condition.conditions.map((part) => compileCondition(part, bind));
      return (row) => parts.flatMap((part) => part(row));
    }
    case 'all':
      return (
        simpleMatcher(condition.conditions, bind) ??
        allMatcher(condition.conditions.map((part) => compileCondition(part, bind)))
      );
  }
}

function assignment(slot: number, value: JsonValue): Assignment {
  const values: JsonValue[] = [];
  values[slot] = value;
  return values;
}

function equalMatcher<Row>(slot: number, read: Getter<Row>, nullMatches: boolean): Matcher<Row> {
  return (row) => {
    const value: Value = read(row);
    if (isBlob(value) || (isNull(value) && !nullMatches)) return NONE;
    return [assignment(slot, value ?? null)];
  };
}

/** Elements are used as they stand: JSON true and null stay what they are. */
function containsMatcher<Row>(slot: number, read: Getter<Row>): Matcher<Row> {
  return (row) => {
    const value = read(row);
    if (isNull(value)) return NONE;
    if (typeof value !== 'string') throw new EvaluationError('IN needs a JSON array on its right side');
    return jsonArray(value).map((element) => assignment(slot, element));
  };
}

/** The usual case in one pass: filters, and equalities of different slots. Null for anything else. */
function simpleMatcher<Row>(parts: readonly Condition[], bind: Bind<Input, Row>): Matcher<Row> | null {
  const filters: Getter<Row>[] = [];
  const equals: { readonly slot: number; readonly read: Getter<Row> }[] = [];
  for (const part of parts) {
    if (part.kind === 'filter') filters.push(compilePlan(part.plan, bind));
    else if (part.kind === 'equal') equals.push({ slot: part.slot, read: compilePlan(part.row, bind) });
    else return null;
  }
  if (new Set(equals.map(({ slot }) => slot)).size < equals.length) return null;
  return (row) => {
    let holds = true;
    for (const filter of filters) if (!isTrue(filter(row))) holds = false;
    const values: JsonValue[] = [];
    for (const { slot, read } of equals) {
      const value = read(row);
      if (isBlob(value) || isNull(value)) holds = false;
      else values[slot] = value;
    }
    return holds ? [values] : NONE;
  };
}

/** Each part is evaluated, so that an error in one is an error of the whole. */
function allMatcher<Row>(parts: readonly Matcher<Row>[]): Matcher<Row> {
  return (row) => {
    let merged = ALWAYS;
    for (const part of parts) merged = mergeAll(merged, part(row));
    return merged;
  };
}

function mergeAll(left: readonly Assignment[], right: readonly Assignment[]): readonly Assignment[] {
  if (left === ALWAYS) return right;
  if (right === ALWAYS) return left;
  if (left.length === 0 || right.length === 0) return NONE;
  const merged: Assignment[] = [];
  for (const one of left) {
    for (const other of right) {
      const both = merge(one, other);
      if (both !== null) merged.push(both);
    }
  }
  return merged;
}

/** Null if the two give one slot different values: such a row is in no bucket. */
function merge(left: Assignment, right: Assignment): Assignment | null {
  const merged = [...left];
  for (let slot = 0; slot < right.length; slot++) {
    const value = right[slot];
    if (value === undefined) continue;
    const bound = merged[slot];
    if (bound !== undefined && bucketJson(bound) !== bucketJson(value)) return null;
    merged[slot] = value;
  }
  return merged;
}

/**
 * What an expression means, free of spelling and of places in a text. `Input` is where values come from: columns of a
 * row, the request, elements of an array; each planner has its own kinds.
 */
import type { JsonMode } from '../json-path.ts';
import type { ArithmeticName, ComparisonName } from '../operators.ts';
import type { CastTarget } from '../value.ts';

export type LiteralPlan = { readonly op: 'literal'; readonly value: null | bigint | number | string };

export type Plan<Input> =
  | LiteralPlan
  | { readonly op: 'input'; readonly input: Input }
  | { readonly op: 'call'; readonly name: string; readonly mode: JsonMode; readonly args: readonly Plan<Input>[] }
  | {
      readonly op: 'compare';
      readonly operator: ComparisonName;
      readonly left: Plan<Input>;
      readonly right: Plan<Input>;
    }
  | {
      readonly op: 'arithmetic';
      readonly operator: ArithmeticName;
      readonly left: Plan<Input>;
      readonly right: Plan<Input>;
    }
  | {
      readonly op: 'json';
      readonly operator: '->' | '->>';
      readonly mode: JsonMode;
      readonly left: Plan<Input>;
      readonly right: Plan<Input>;
    }
  | { readonly op: 'and' | 'or'; readonly operands: readonly Plan<Input>[] }
  | { readonly op: 'not' | 'isNull'; readonly operand: Plan<Input> }
  /** `IS`: like `=`, but null equals null and nothing else. */
  | { readonly op: 'is'; readonly left: Plan<Input>; readonly right: Plan<Input> }
  | { readonly op: 'between'; readonly operand: Plan<Input>; readonly low: Plan<Input>; readonly high: Plan<Input> }
  | { readonly op: 'inList'; readonly operand: Plan<Input>; readonly items: readonly Plan<Input>[] }
  /** `x IN text`, the text a JSON array. */
  | { readonly op: 'inJson'; readonly operand: Plan<Input>; readonly array: Plan<Input> }
  | { readonly op: 'cast'; readonly target: CastTarget; readonly operand: Plan<Input> }
  | {
      readonly op: 'case';
      readonly operand: Plan<Input> | null;
      readonly whens: readonly { readonly when: Plan<Input>; readonly result: Plan<Input> }[];
      readonly otherwise: Plan<Input> | null;
    };

/** Direct operands, left to right. */
export function operandsOf<Input>(plan: Plan<Input>): readonly Plan<Input>[] {
  switch (plan.op) {
    case 'literal':
    case 'input':
      return [];
    case 'call':
      return plan.args;
    case 'compare':
    case 'arithmetic':
    case 'json':
    case 'is':
      return [plan.left, plan.right];
    case 'and':
    case 'or':
      return plan.operands;
    case 'not':
    case 'isNull':
    case 'cast':
      return [plan.operand];
    case 'between':
      return [plan.operand, plan.low, plan.high];
    case 'inList':
      return [plan.operand, ...plan.items];
    case 'inJson':
      return [plan.operand, plan.array];
    case 'case':
      return [plan.operand, ...plan.whens.flatMap(({ when, result }) => [when, result]), plan.otherwise].filter(
        (operand) => operand !== null,
      );
  }
}

/** Every input of a plan, left to right, repeated as often as it is used. */
export function* inputsOf<Input>(plan: Plan<Input>): Generator<Input> {
  if (plan.op === 'input') yield plan.input;
  for (const operand of operandsOf(plan)) yield* inputsOf(operand);
}

/**
 * Canonical text of a plan: equal meaning written alike gives equal texts, and different plans different ones.
 * @param inputText canonical text of an input
 */
export function planText<Input>(plan: Plan<Input>, inputText: (input: Input) => string): string {
  if (plan.op === 'literal') return literalText(plan.value);
  if (plan.op === 'input') return inputText(plan.input);
  const operands = operandsOf(plan).map((operand) => planText(operand, inputText));
  return `(${[headOf(plan), ...operands].join(' ')})`;
}

function literalText(value: LiteralPlan['value']): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') return `real:${Object.is(value, -0) ? '-0' : value}`;
  return String(value);
}

function headOf<Input>(plan: Plan<Input>): string {
  if (plan.op === 'call') return `${plan.name}/${plan.mode}`;
  if (plan.op === 'compare' || plan.op === 'arithmetic') return plan.operator;
  if (plan.op === 'json') return `${plan.operator}/${plan.mode}`;
  if (plan.op === 'cast') return `cast:${plan.target}`;
  if (plan.op === 'case') return `case:${plan.operand === null ? 0 : 1}:${plan.otherwise === null ? 0 : 1}`;
  return plan.op;
}

/**
 * Plans to closures. A plan is compiled once per (plan, table) or (plan, request kind) and then called per row or per
 * request: no interpretation, no lookup by name is left in what is called.
 */
import { scalarFunctions } from '../functions/table.ts';
import { type JsonMode, jsonArrow, jsonArrowText } from '../json-path.ts';
import { arithmetics, between, comparisons, equal, inJsonArray, inList, is } from '../operators.ts';
import { castTargets, fromBoolean, isNull, isTrue, type Value } from '../value.ts';
import { invariant } from '@sluice/core';
import type { Plan } from './plan.ts';

/** Computes a value from a row, a request, or whatever a planner's inputs are read from. May throw EvaluationError. */
export type Getter<Context> = (context: Context) => Value;

/** Finds the getter of an input. */
export type Bind<Input, Context> = (input: Input) => Getter<Context>;

export function compilePlan<Input, Context>(plan: Plan<Input>, bind: Bind<Input, Context>): Getter<Context> {
  const compile = (operand: Plan<Input>): Getter<Context> => compilePlan(operand, bind);
  switch (plan.op) {
    case 'literal': {
      const { value } = plan;
      return () => value;
    }
    case 'input':
      return bind(plan.input);
    case 'call':
      return compileCall(plan.name, plan.mode, plan.args.map(compile));
    case 'compare':
      return compileBinary(comparisons[plan.operator], compile(plan.left), compile(plan.right));
    case 'arithmetic':
      return compileBinary(arithmetics[plan.operator], compile(plan.left), compile(plan.right));
    case 'json': {
      const { mode } = plan;
      const operate = plan.operator === '->' ? jsonArrow : jsonArrowText;
      return compileBinary((left, right) => operate(left, right, mode), compile(plan.left), compile(plan.right));
    }
    case 'is':
      return compileBinary(is, compile(plan.left), compile(plan.right));
    case 'inJson':
      return compileBinary(inJsonArray, compile(plan.operand), compile(plan.array));
    case 'and':
      return compileAll(plan.operands.map(compile));
    case 'or':
      return compileAny(plan.operands.map(compile));
    case 'not': {
      const operand = compile(plan.operand);
      return (context) => fromBoolean(!isTrue(operand(context)));
    }
    case 'isNull': {
      const operand = compile(plan.operand);
      return (context) => fromBoolean(isNull(operand(context)));
    }
    case 'cast':
      return compileCast(plan.target, compile(plan.operand));
    case 'between': {
      const [operand, low, high] = [compile(plan.operand), compile(plan.low), compile(plan.high)];
      return (context) => between(operand(context), low(context), high(context));
    }
    case 'inList': {
      const operand = compile(plan.operand);
      const items = plan.items.map(compile);
      return (context) =>
        inList(
          operand(context),
          items.map((item) => item(context)),
        );
    }
    case 'case':
      return compileCase(plan, compile);
  }
}

function compileBinary<Context>(
  operate: (left: Value, right: Value) => Value,
  left: Getter<Context>,
  right: Getter<Context>,
): Getter<Context> {
  return (context) => operate(left(context), right(context));
}

function compileCall<Context>(name: string, mode: JsonMode, args: readonly Getter<Context>[]): Getter<Context> {
  const scalar = scalarFunctions.get(name);
  invariant(scalar !== undefined, `plan: function ${name} does not exist`);
  const { call } = scalar;
  const [only] = args;
  if (only !== undefined && args.length === 1) return (context) => call([only(context)], mode);
  return (context) =>
    call(
      args.map((arg) => arg(context)),
      mode,
    );
}

function compileCast<Context>(
  target: Parameters<typeof castTargets.get>[0],
  operand: Getter<Context>,
): Getter<Context> {
  const cast = castTargets.get(target);
  invariant(cast !== undefined, `plan: no cast to ${target}`);
  return (context) => cast(operand(context));
}

/** All operands are evaluated, so that an error in one is an error of the whole whatever the others say. */
function compileAll<Context>(operands: readonly Getter<Context>[]): Getter<Context> {
  return (context) => {
    let result = true;
    for (const operand of operands) if (!isTrue(operand(context))) result = false;
    return fromBoolean(result);
  };
}

function compileAny<Context>(operands: readonly Getter<Context>[]): Getter<Context> {
  return (context) => {
    let result = false;
    for (const operand of operands) if (isTrue(operand(context))) result = true;
    return fromBoolean(result);
  };
}

/** Lazy: branches behind the one taken are not evaluated. */
function compileCase<Input, Context>(
  plan: Extract<Plan<Input>, { op: 'case' }>,
  compile: (operand: Plan<Input>) => Getter<Context>,
): Getter<Context> {
  const operand = plan.operand === null ? null : compile(plan.operand);
  const whens = plan.whens.map(({ when, result }) => ({ when: compile(when), result: compile(result) }));
  const otherwise = plan.otherwise === null ? () => null : compile(plan.otherwise);
  return (context) => {
    const value = operand === null ? null : operand(context);
    for (const { when, result } of whens) {
      const test = when(context);
      if (isTrue(operand === null ? test : equal(value, test))) return result(context);
    }
    return otherwise(context);
  };
}

/**
 * Syntax tree to plan, one node at a time. Planners decide what columns and request functions are, and how to reach
 * operands, so that they can stop between a node and its operands.
 */
import type { Edition } from '../compatibility.ts';
import type { DiagnosticCode, DiagnosticDetails } from '../diagnostics.ts';
import { didYouMean } from '../did-you-mean.ts';
import { scalarFunctions } from '../functions/table.ts';
import type { JsonMode } from '../json-path.ts';
import { type ArithmeticName, arithmetics, type ComparisonName, comparisons } from '../operators.ts';
import type {
  BinaryExpression,
  CaseExpression,
  CastExpression,
  ColumnReference,
  Expression,
  FunctionCall,
  InExpression,
  IsExpression,
  Literal,
  Range,
  UnaryExpression,
} from '../sql/ast.ts';
import { type CastTarget, castTargets } from '../value.ts';
import type { LiteralPlan, Plan } from './plan.ts';

export interface BuildContext<Input> {
  /** Which operators there are: those of 1 and 2, or those of 3. */
  readonly edition: Edition;
  readonly mode: JsonMode;
  /** Whether `x IN text` (a JSON array) may stand here; `x IN ARRAY[..]` may in edition 3. */
  readonly allowsInJson: boolean;
  /** A column; null if there is none and that has been reported. */
  column(node: ColumnReference): Plan<Input> | null;
  /** A function of the planner's own; undefined if it is not one of them, null if it is wrong and reported. */
  call(node: FunctionCall): Plan<Input> | null | undefined;
  /** Range in the SQL text. */
  report(code: DiagnosticCode, range: Range, subject?: string, details?: DiagnosticDetails): void;
}

/** Reaches an operand; null if it is wrong and reported. */
export type BuildOperand<Input> = (node: Expression) => Plan<Input> | null;

/** A whole expression. Null if anything in it is wrong; everything wrong has been reported then. */
export function buildPlan<Input>(node: Expression, context: BuildContext<Input>): Plan<Input> | null {
  return buildNode(node, (operand) => buildPlan(operand, context), context);
}

/** One node, its operands by `operand`. */
export function buildNode<Input>(
  node: Expression,
  operand: BuildOperand<Input>,
  context: BuildContext<Input>,
): Plan<Input> | null {
  switch (node.kind) {
    case 'literal':
      return literalPlan(node);
    case 'column':
      return context.column(node);
    case 'call':
      return buildCall(node, operand, context);
    case 'binary':
      return buildBinary(node, operand, context);
    case 'logical': {
      const operands = all(node.operands, operand);
      return operands === null ? null : { op: node.operator === 'AND' ? 'and' : 'or', operands };
    }
    case 'unary':
      return buildUnary(node, operand, context);
    case 'is':
      return buildIs(node, operand, context);
    case 'in':
      return buildIn(node, operand, context);
    case 'cast':
      return buildCast(node, operand, context);
    case 'between': {
      if (context.edition < 3) return unsupported(node, 'BETWEEN', context);
      const [value, low, high] = [operand(node.operand), operand(node.low), operand(node.high)];
      if (value === null || low === null || high === null) return null;
      return negate(node.negated, { op: 'between', operand: value, low, high });
    }
    case 'case':
      return context.edition < 3 ? unsupported(node, 'CASE', context) : buildCase(node, operand);
    case 'array':
    case 'row':
    case 'list':
      return unsupported(node, 'a list of values', context);
    case 'subquery':
      return unsupported(node, 'a query inside an expression', context);
    case 'bound':
      return unsupported(node, node.text, context);
    case 'unsupported':
      return unsupported(node, node.construct, context);
  }
}

function literalPlan({ value }: Literal): LiteralPlan {
  return { op: 'literal', value: typeof value === 'boolean' ? BigInt(value) : value };
}

function all<Input>(nodes: readonly Expression[], operand: BuildOperand<Input>): readonly Plan<Input>[] | null {
  const plans = nodes.map((node) => operand(node));
  const usable = plans.filter((plan) => plan !== null);
  return usable.length === plans.length ? usable : null;
}

function negate<Input>(negated: boolean, plan: Plan<Input>): Plan<Input> {
  return negated ? { op: 'not', operand: plan } : plan;
}

function unsupported<Input>(range: Range, subject: string, context: BuildContext<Input>): null {
  context.report('unsupported-expression', range, subject);
  return null;
}

function buildCall<Input>(
  node: FunctionCall,
  operand: BuildOperand<Input>,
  context: BuildContext<Input>,
): Plan<Input> | null {
  const own = context.call(node);
  if (own !== undefined) return own;
  const { edition, mode } = context;
  const { name } = node.name;
  const scalar = node.schema === null ? scalarFunctions.get(name) : undefined;
  if (scalar === undefined || (edition === 3 && !scalar.inStreams)) {
    const known = [...scalarFunctions.values()].filter((entry) => edition < 3 || entry.inStreams);
    const hint = didYouMean(
      name,
      known.map((entry) => entry.name),
    );
    const fullName = node.schema === null ? name : `${node.schema.name}.${name}`;
    context.report(
      'unknown-function',
      edition === 3 ? node.nameRange : node,
      fullName,
      hint === undefined ? {} : { hint },
    );
    return null;
  }
  if (node.modifier !== null) return unsupported(node, 'an aggregate or window call', context);
  if (node.keywordForm && edition < 3) return unsupported(node, 'arguments given by keywords', context);
  const args = all(node.args, operand);
  const { minArgs, maxArgs } = scalar;
  if (edition === 3 && (node.args.length < minArgs || node.args.length > maxArgs)) {
    const wanted = minArgs === maxArgs ? `${minArgs}` : `${minArgs} to ${maxArgs}`;
    context.report('wrong-argument-count', node, `${name} takes ${wanted}, not ${node.args.length}`);
    return null;
  }
  return args === null ? null : { op: 'call', name, mode, args };
}

function isKey<Key extends string>(table: Readonly<Record<Key, unknown>>, name: string): name is Key {
  return Object.hasOwn(table, name);
}

/** Operators of streams only. */
const EDITION_3_ARITHMETIC = new Set<ArithmeticName>(['%', '&', '|', '<<', '>>']);

function buildBinary<Input>(
  node: BinaryExpression,
  operand: BuildOperand<Input>,
  context: BuildContext<Input>,
): Plan<Input> | null {
  const { operator } = node;
  const { edition, mode } = context;
  if (operator === '->' || operator === '->>') {
    if (edition < 3 && node.right.kind === 'literal' && typeof node.right.value !== 'string') {
      context.report('json-path-not-text', node);
      return null;
    }
    const [left, right] = [operand(node.left), operand(node.right)];
    return left === null || right === null ? null : { op: 'json', operator, mode, left, right };
  }
  const isArithmetic = isKey(arithmetics, operator) && (edition === 3 || !EDITION_3_ARITHMETIC.has(operator));
  if (!isArithmetic && !isKey(comparisons, operator)) return unsupported(node, operator, context);
  const [left, right] = [operand(node.left), operand(node.right)];
  if (left === null || right === null) return null;
  if (isArithmetic) return { op: 'arithmetic', operator, left, right };
  return comparisonPlan(operator as ComparisonName, { left, right }, edition);
}

/** Edition 3 reads `a != b` as `NOT (a = b)`: with a null it is true there, and null in editions 1 and 2. */
function comparisonPlan<Input>(
  operator: ComparisonName,
  { left, right }: { left: Plan<Input>; right: Plan<Input> },
  edition: Edition,
): Plan<Input> {
  if (operator !== '!=' || edition < 3) return { op: 'compare', operator, left, right };
  return { op: 'not', operand: { op: 'compare', operator: '=', left, right } };
}

function buildUnary<Input>(
  node: UnaryExpression,
  operand: BuildOperand<Input>,
  context: BuildContext<Input>,
): Plan<Input> | null {
  const usable = node.operator === 'NOT' || (node.operator === '+' && context.edition === 3);
  if (!usable) return unsupported(node, `unary ${node.operator}`, context);
  const inner = operand(node.operand);
  if (inner === null || node.operator === '+') return inner;
  return { op: 'not', operand: inner };
}

function buildIs<Input>(
  node: IsExpression,
  operand: BuildOperand<Input>,
  context: BuildContext<Input>,
): Plan<Input> | null {
  const { test, negated } = node;
  if (test === 'UNKNOWN' || (test !== 'NULL' && context.edition < 3)) return unsupported(node, `IS ${test}`, context);
  const inner = operand(node.operand);
  if (inner === null) return null;
  if (test === 'NULL') return negate(negated, { op: 'isNull', operand: inner });
  return negate(negated, { op: 'is', left: inner, right: { op: 'literal', value: test === 'TRUE' ? 1n : 0n } });
}

function buildIn<Input>(
  node: InExpression,
  operand: BuildOperand<Input>,
  context: BuildContext<Input>,
): Plan<Input> | null {
  const { right, negated } = node;
  if (right.kind === 'list') {
    const [first = right, last = first] = [right.items[0], right.items.at(-1)];
    context.report('in-list', { start: first.start, end: last.end });
    return null;
  }
  if (context.edition === 3 && (right.kind === 'array' || right.kind === 'row')) {
    const inner = operand(node.operand);
    const items = all(right.items, operand);
    return inner === null || items === null ? null : negate(negated, { op: 'inList', operand: inner, items });
  }
  const isScalar = right.kind !== 'subquery' && right.kind !== 'array' && right.kind !== 'row';
  if (isScalar && !context.allowsInJson) return unsupported(node, 'IN with a JSON array outside of WHERE', context);
  const inner = operand(node.operand);
  const array = operand(right);
  return inner === null || array === null ? null : negate(negated, { op: 'inJson', operand: inner, array });
}

function buildCast<Input>(
  node: CastExpression,
  operand: BuildOperand<Input>,
  context: BuildContext<Input>,
): Plan<Input> | null {
  const { name, array } = node.type;
  const inner = operand(node.operand);
  if (array || !isCastTarget(name)) {
    const hint = didYouMean(name, castTargets.keys());
    const range = context.edition === 3 ? node.type : node;
    context.report('unsupported-cast', range, array ? `${name}[]` : name, hint === undefined ? {} : { hint });
    return null;
  }
  return inner === null ? null : { op: 'cast', target: name, operand: inner };
}

function isCastTarget(name: string): name is CastTarget {
  return (castTargets as ReadonlyMap<string, unknown>).has(name);
}

function buildCase<Input>(node: CaseExpression, operand: BuildOperand<Input>): Plan<Input> | null {
  const subject = node.operand === null ? null : operand(node.operand);
  const whens = node.whens.map(({ when, result }) => ({ when: operand(when), result: operand(result) }));
  const otherwise = node.otherwise === null ? null : operand(node.otherwise);
  if ((node.operand !== null && subject === null) || (node.otherwise !== null && otherwise === null)) return null;
  const usable = whens.flatMap(({ when, result }) => (when === null || result === null ? [] : [{ when, result }]));
  return usable.length < whens.length ? null : { op: 'case', operand: subject, whens: usable, otherwise };
}

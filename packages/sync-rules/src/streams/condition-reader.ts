/** WHERE and ON of a stream as a condition tree. */
import { EvaluationError } from '../evaluation-error.ts';
import type { Plan } from '../expression/plan.ts';
import { bigParse, isArray } from '../json.ts';
import type {
  BinaryExpression,
  Expression,
  InExpression,
  LogicalExpression,
  Range,
  SelectStatement,
} from '../sql/ast.ts';
import { type Condition, equalityTerm, term } from './condition.ts';
import type { SourceId, StreamInput } from './input.ts';
import type { Sources } from './sources.ts';

/** What the names of one SELECT mean. Everything returns null after it has reported what is wrong. */
export interface ConditionScope {
  readonly sources: Sources;
  /** Edition 2 reads `a != b` as a comparison with null, edition 3 as NOT (a = b). */
  readonly negatesUnequal: boolean;
  plan(node: Expression): Plan<StreamInput> | null;
  /** A query behind IN or beside &&: its one column, and what it joins. */
  subquery(select: SelectStatement): Subquery | null;
  /** The common table expression that a bare name means; undefined if it means none. */
  commonTable(node: Expression): Subquery | null | undefined;
  /** A `json_each` over a value; null if the value depends on more than one thing. */
  elements(
    argument: Plan<StreamInput>,
    at: Range,
  ): { readonly source: SourceId; readonly value: Plan<StreamInput> } | null;
  /** Reports something behind IN that is no list. */
  wrongList(range: Range): null;
  toDocument(range: Range): Range;
}

export interface Subquery {
  readonly column: Plan<StreamInput>;
  readonly sources: readonly SourceId[];
  readonly conditions: readonly Condition[];
}

/** Null if anything is wrong, which has been reported then. */
export function readCondition(node: Expression, scope: ConditionScope): Condition | null {
  if (node.kind === 'logical') return readLogical(node, scope);
  if (node.kind === 'binary') return readBinary(node, scope);
  if (node.kind === 'in') return readIn(node, scope);
  if (node.kind !== 'unary' || node.operator !== 'NOT') return plain(node, scope);
  return negation(readCondition(node.operand, scope), node.operand, scope);
}

function readLogical(node: LogicalExpression, scope: ConditionScope): Condition | null {
  const operands = node.operands.map((operand) => readCondition(operand, scope));
  const usable = operands.filter((operand) => operand !== null);
  if (usable.length < operands.length) return null;
  return { kind: node.operator === 'AND' ? 'and' : 'or', operands: usable };
}

function plain(node: Expression, scope: ConditionScope): Condition | null {
  const plan = scope.plan(node);
  return plan === null ? null : term(plan);
}

function negation(operand: Condition | null, node: Range, scope: ConditionScope): Condition | null {
  return operand === null ? null : { kind: 'not', operand, at: scope.toDocument(node) };
}

function readBinary(node: BinaryExpression, scope: ConditionScope): Condition | null {
  if (node.operator === '&&') return readOverlap(node, scope);
  const isUnequal = node.operator === '!=' && scope.negatesUnequal;
  if (node.operator !== '=' && !isUnequal) return plain(node, scope);
  const [left, right] = [scope.plan(node.left), scope.plan(node.right)];
  if (left === null || right === null) return null;
  const equality = equalityTerm(left, right);
  return isUnequal ? negation(equality, node, scope) : equality;
}

function readIn(node: InExpression, scope: ConditionScope): Condition | null {
  const { right } = node;
  if (right.kind === 'array' || right.kind === 'row' || right.kind === 'list') return plain(node, scope);
  if (right.kind === 'literal' && right.value !== null && !isJsonArray(right.value)) return scope.wrongList(right);
  const subquery = right.kind === 'subquery' ? scope.subquery(right.select) : scope.commonTable(right);
  const operand = scope.plan(node.operand);
  if (subquery === undefined) return readInScalar(node, operand, scope);
  if (operand === null || subquery === null) return null;
  const joined = joinedWith([subquery], equalityTerm(operand, subquery.column));
  return node.negated ? negation(joined, node, scope) : joined;
}

/** Elements are joined where the two sides depend on different things; else it is a test like any other. */
function readInScalar(node: InExpression, operand: Plan<StreamInput> | null, scope: ConditionScope): Condition | null {
  const array = scope.plan(node.right);
  if (operand === null || array === null) return null;
  const test: Plan<StreamInput> = { op: 'inJson', operand, array };
  if (node.negated) return term({ op: 'not', operand: test });
  if (scope.sources.rootsOf(test).size <= 1) return term(test);
  const elements = scope.elements(array, node.right);
  if (elements === null) return null;
  return joinedWith([{ sources: [elements.source], conditions: [] }], equalityTerm(operand, elements.value));
}

/** `x IN ('a')` comes here as a bare text: it is a list for people, but not for the parser. */
function isJsonArray(value: unknown): boolean {
  try {
    return typeof value === 'string' && isArray(bigParse(value));
  } catch (error) {
    if (error instanceof EvaluationError) return false;
    throw error;
  }
}

function readOverlap(node: BinaryExpression, scope: ConditionScope): Condition | null {
  const [left, right] = [overlapSide(node.left, scope), overlapSide(node.right, scope)];
  if (left === null || right === null) return null;
  return joinedWith([left, right], equalityTerm(left.column, right.column));
}

function overlapSide(node: Expression, scope: ConditionScope): Subquery | null {
  const subquery = node.kind === 'subquery' ? scope.subquery(node.select) : scope.commonTable(node);
  if (subquery !== undefined) return subquery;
  const array = scope.plan(node);
  const elements = array === null ? null : scope.elements(array, node);
  return elements === null ? null : { column: elements.value, sources: [elements.source], conditions: [] };
}

function joinedWith(parts: readonly Omit<Subquery, 'column'>[], equality: Condition): Condition {
  const sources = parts.flatMap((part) => part.sources);
  return {
    kind: 'and',
    operands: [{ kind: 'join', sources }, equality, ...parts.flatMap((part) => part.conditions)],
  };
}

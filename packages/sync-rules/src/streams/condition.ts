/**
 * Conditions of a query as a tree, and their disjunctive normal form: the alternatives, each a list of terms that must
 * all hold.
 */
import type { Plan } from '../expression/plan.ts';
import type { Range } from '../sql/ast.ts';
import type { SourceId, StreamInput } from './input.ts';
import type { Root, Sources } from './sources.ts';

export interface Equality {
  readonly left: Plan<StreamInput>;
  readonly right: Plan<StreamInput>;
}

export interface Term {
  readonly kind: 'term';
  readonly plan: Plan<StreamInput>;
  /** The two sides, if the term says that they are equal. */
  readonly equality: Equality | null;
}

/** Brings sources into those alternatives that it is part of. */
export interface Join {
  readonly kind: 'join';
  readonly sources: readonly SourceId[];
}

export type Condition =
  | Term
  | Join
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Condition[] }
  /** `at`: what is negated, in the document. */
  | { readonly kind: 'not'; readonly operand: Condition; readonly at: Range };

export type Conjunction = readonly (Term | Join)[];

export const TERMS_MAX = 100;

/** Terms of all alternatives together. */
const PARTS_MAX = 20_000;

export type NormalForm =
  | { readonly ok: true; readonly alternatives: readonly Conjunction[] }
  | { readonly ok: false; readonly problem: 'too-many' }
  /** NOT over something that joins sources: what is negated, and the input that cannot be negated with the others. */
  | { readonly ok: false; readonly problem: 'negated-join'; readonly at: Range; readonly conflict: Range };

export function term(plan: Plan<StreamInput>): Term {
  return { kind: 'term', plan, equality: null };
}

export function equalityTerm(left: Plan<StreamInput>, right: Plan<StreamInput>): Term {
  return { kind: 'term', plan: { op: 'compare', operator: '=', left, right }, equality: { left, right } };
}

/** The alternatives, in the order in which they are written. */
export function normalForm(condition: Condition, sources: Sources): NormalForm {
  try {
    return { ok: true, alternatives: alternativesOf(simplified(condition, sources)) };
  } catch (error) {
    if (error instanceof TooManyTerms) return { ok: false, problem: 'too-many' };
    if (error instanceof NegatedJoin)
      return { ok: false, problem: 'negated-join', at: error.at, conflict: error.conflict };
    throw error;
  }
}

class TooManyTerms extends Error {}

class NegatedJoin extends Error {
  readonly at: Range;
  readonly conflict: Range;

  constructor(at: Range, conflict: Range) {
    super('negated join');
    this.at = at;
    this.conflict = conflict;
  }
}

/**
 * Without NOT above AND, OR and equalities, and with everything that depends on one thing as one term: `a = 1 OR b = 2`
 * on one table is a filter of its rows, not two alternatives.
 */
function simplified(condition: Condition, sources: Sources): Condition {
  switch (condition.kind) {
    case 'term':
    case 'join':
      return condition;
    case 'not':
      return negated(condition.operand, condition.at, sources);
    case 'and':
    case 'or': {
      const operands = condition.operands.map((operand) => simplified(operand, sources));
      return combined(condition.kind, operands, sources);
    }
  }
}

/** @param at what is negated */
function negated(condition: Condition, at: Range, sources: Sources): Condition {
  switch (condition.kind) {
    case 'term': {
      const conflict = sources.conflictIn(condition.plan);
      if (conflict !== null) throw new NegatedJoin(at, conflict.at);
      return term({ op: 'not', operand: condition.plan });
    }
    case 'not':
      return simplified(condition.operand, sources);
    case 'join':
      throw new NegatedJoin(at, at);
    case 'and':
    case 'or': {
      if (hasJoin(condition)) throw new NegatedJoin(at, conflictAt(condition, sources) ?? at);
      const operands = condition.operands.map((operand) => negated(operand, at, sources));
      return combined(condition.kind === 'and' ? 'or' : 'and', operands, sources);
    }
  }
}

/** Whether it is itself the joining of sources. */
function hasJoin(condition: Condition): boolean {
  return condition.kind === 'and' || condition.kind === 'or'
    ? condition.operands.some((operand) => operand.kind === 'join')
    : false;
}

function conflictAt(condition: Condition, sources: Sources): Range | null {
  const plans = termsOf(condition).map(({ plan }) => plan);
  return sources.conflictIn({ op: 'and', operands: plans })?.at ?? null;
}

function termsOf(condition: Condition): readonly Term[] {
  if (condition.kind === 'term') return [condition];
  return condition.kind === 'and' || condition.kind === 'or' ? condition.operands.flatMap(termsOf) : [];
}

/**
 * Terms that depend on the same one thing become one. The others come first, then what depends on the request, then what
 * depends on rows: alternatives are numbered in this order, and the numbers are in the names of buckets.
 */
function combined(kind: 'and' | 'or', operands: readonly Condition[], sources: Sources): Condition {
  const others: Condition[] = [];
  const groups = new Map<Root, Plan<StreamInput>[]>([['request', []]]);
  for (const operand of operands.flatMap((one) => (one.kind === kind ? one.operands : [one]))) {
    const root = operand.kind === 'term' ? onlyRoot(operand, sources) : undefined;
    if (operand.kind !== 'term' || root === undefined) {
      others.push(operand);
      continue;
    }
    const group = groups.get(root);
    if (group === undefined) groups.set(root, [operand.plan]);
    else group.push(operand.plan);
  }
  const merged = [...groups.values()].flatMap((plans) => mergedTerms(kind, plans));
  const all = [...others, ...merged];
  const [single] = all;
  return all.length === 1 && single !== undefined ? single : { kind, operands: all };
}

function mergedTerms(kind: 'and' | 'or', plans: readonly Plan<StreamInput>[]): Term[] {
  const [first, ...others] = plans;
  if (first === undefined) return [];
  return [term(others.length === 0 ? first : { op: kind, operands: plans })];
}

/** Undefined if a term depends on several things. What depends on nothing counts to the request. */
function onlyRoot({ plan }: Term, sources: Sources): Root | undefined {
  const [first, second] = sources.rootsOf(plan);
  return second === undefined ? (first ?? 'request') : undefined;
}

function alternativesOf(condition: Condition): readonly Conjunction[] {
  switch (condition.kind) {
    case 'term':
    case 'join':
      return [[condition]];
    case 'or':
      return limited(condition.operands.flatMap(alternativesOf));
    case 'and': {
      let product: (Term | Join)[][] = [[]];
      for (const operand of condition.operands) {
        const factors = alternativesOf(operand);
        const [only] = factors;
        if (product.length * factors.length > TERMS_MAX) throw new TooManyTerms();
        if (factors.length === 1 && only !== undefined) for (const alternative of product) alternative.push(...only);
        else product = product.flatMap((left) => factors.map((right) => [...left, ...right]));
        if (product.length * (product[0]?.length ?? 0) > PARTS_MAX) throw new TooManyTerms();
      }
      return product;
    }
    case 'not':
      return alternativesOf(condition.operand);
  }
}

function limited(alternatives: readonly Conjunction[]): readonly Conjunction[] {
  if (alternatives.length > TERMS_MAX) throw new TooManyTerms();
  return alternatives;
}

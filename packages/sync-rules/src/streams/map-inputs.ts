import { unreachable } from '@sluice/core';
import type { Plan } from '../expression/plan.ts';

/** The same plan over other inputs. */
export function mapInputs<From, To>(plan: Plan<From>, map: (input: From) => Plan<To>): Plan<To> {
  const inner = (operand: Plan<From>): Plan<To> => mapInputs(operand, map);
  switch (plan.op) {
    case 'literal':
      return plan;
    case 'input':
      return map(plan.input);
    case 'call':
      return { ...plan, args: plan.args.map(inner) };
    case 'compare':
    case 'arithmetic':
    case 'json':
    case 'is':
      return { ...plan, left: inner(plan.left), right: inner(plan.right) };
    case 'and':
    case 'or':
      return { ...plan, operands: plan.operands.map(inner) };
    case 'not':
    case 'isNull':
    case 'cast':
      return { ...plan, operand: inner(plan.operand) };
    case 'between':
      return { ...plan, operand: inner(plan.operand), low: inner(plan.low), high: inner(plan.high) };
    case 'inList':
      return { ...plan, operand: inner(plan.operand), items: plan.items.map(inner) };
    case 'inJson':
      return { ...plan, operand: inner(plan.operand), array: inner(plan.array) };
    case 'case':
      return {
        ...plan,
        operand: plan.operand === null ? null : inner(plan.operand),
        whens: plan.whens.map(({ when, result }) => ({ when: inner(when), result: inner(result) })),
        otherwise: plan.otherwise === null ? null : inner(plan.otherwise),
      };
    default:
      return unreachable(plan);
  }
}

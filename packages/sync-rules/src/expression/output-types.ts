/** What a projection gives, told from the types of the columns alone: names and kinds of values, before any row. */
import type { Plan } from './plan.ts';
import type { Projection } from './projection.ts';

/** Kinds of synced values; `null` for a value that is always null. Blobs are not synced. */
export type OutputType = 'text' | 'integer' | 'real' | 'blob' | 'null';

export interface TypedOutput {
  readonly name: string;
  readonly type: OutputType;
}

/** Whether every row gives one of the two: text holds anything, a real any number. */
export function widerType(left: OutputType, right: OutputType): OutputType {
  if (left === right || right === 'null' || right === 'blob') return left;
  if (left === 'null' || left === 'blob') return right;
  return left === 'text' || right === 'text' ? 'text' : 'real';
}

/**
 * @param columns of the table; those of a star
 * @param inputType of a plan's input
 */
export function outputTypes<Input>(
  projection: Projection<Input>,
  columns: readonly TypedOutput[],
  inputType: (input: Input) => OutputType,
): readonly TypedOutput[] {
  const outputs = new Map<string, OutputType>();
  const fill = projection.stars === 'fill';
  const typeOfColumn = (wanted: string): OutputType => columns.find(({ name }) => name === wanted)?.type ?? 'text';
  for (const item of projection.items) {
    if (item.kind === 'column') outputs.set(item.name, typeOfColumn(item.column));
    else if (item.kind === 'plan') outputs.set(item.name, planType(item.plan, inputType));
    else {
      for (const { name, type } of columns) {
        if (fill && name.startsWith('_')) continue;
        const known = outputs.get(name);
        outputs.set(name, fill && known !== undefined ? widerType(known, type) : type);
      }
    }
  }
  return [...outputs].map(([name, type]) => ({ name, type }));
}

function planType<Input>(plan: Plan<Input>, inputType: (input: Input) => OutputType): OutputType {
  const of = (operand: Plan<Input>): OutputType => planType(operand, inputType);
  switch (plan.op) {
    case 'literal':
      if (plan.value === null) return 'null';
      if (typeof plan.value === 'bigint') return 'integer';
      return typeof plan.value === 'number' ? 'real' : 'text';
    case 'input':
      return inputType(plan.input);
    case 'call':
      return callType(plan.name, plan.args.map(of));
    case 'arithmetic':
      if (plan.operator === '||') return 'text';
      return /^[%&|<>]/.test(plan.operator) ? 'integer' : numberType(of(plan.left), of(plan.right));
    case 'json':
      return 'text';
    case 'cast':
      return plan.target === 'numeric' ? numberType(of(plan.operand), 'integer') : plan.target;
    case 'case':
      return [...plan.whens.map(({ result }) => result), ...(plan.otherwise === null ? [] : [plan.otherwise])]
        .map(of)
        .reduce(widerType);
    case 'compare':
    case 'and':
    case 'or':
    case 'not':
    case 'isNull':
    case 'is':
    case 'between':
    case 'inList':
    case 'inJson':
      return 'integer';
  }
}

/** Text may hold a fraction. */
function numberType(left: OutputType, right: OutputType): OutputType {
  return left === 'integer' && right === 'integer' ? 'integer' : 'real';
}

const INTEGER_CALLS = new Set(['length', 'instr', 'json_array_length', 'json_valid']);
const REAL_CALLS = new Set(['st_x', 'st_y']);

function callType(name: string, args: readonly OutputType[]): OutputType {
  if (INTEGER_CALLS.has(name)) return 'integer';
  if (REAL_CALLS.has(name)) return 'real';
  if (name === 'uuid_blob') return 'blob';
  // With `subsec` it has a fraction; without one, only integers.
  if (name === 'unixepoch') return args.length > 1 ? 'real' : 'integer';
  if (name === 'ifnull') return args.reduce(widerType, 'null');
  return name === 'iif' ? args.slice(1).reduce(widerType, 'null') : 'text';
}

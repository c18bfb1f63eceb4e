/** Random expressions for comparing two evaluators: one operation a node, its operands columns, literals or nodes. */
import type { SeededRandom } from '../kit/seeded-random.ts';

export type SqlValue = null | bigint | number | string | Uint8Array;

export interface Operation {
  readonly name: string;
  readonly arity: number;
  /** Editions that have it. */
  readonly editions: readonly (2 | 3)[];
  readonly ours: (operands: readonly string[]) => string;
  readonly sqlite: (operands: readonly string[]) => string;
}

type Write = Operation['ours'];

function operation(
  name: string,
  arity: number,
  ours: Write,
  more: { sqlite?: Write; editions?: (2 | 3)[] } = {},
): Operation {
  return { name, arity, ours, sqlite: more.sqlite ?? ours, editions: more.editions ?? [2, 3] };
}

function infix(name: string, editions: (2 | 3)[] = [2, 3]): Operation {
  return operation(name, 2, ([a, b]) => `(${a} ${name} ${b})`, { editions });
}

function call(name: string, arity: number, more: { editions?: (2 | 3)[] } = {}): Operation {
  return operation(`${name}/${arity}`, arity, (operands) => `${name}(${operands.join(', ')})`, more);
}

const operations: readonly Operation[] = [
  ...['=', '<', '<=', '>', '>=', '+', '-', '*', '/', '||', '->', '->>', 'AND', 'OR'].map((name) => infix(name)),
  ...['%', '&', '|', '<<', '>>'].map((name) => infix(name, [3])),
  operation('!= of edition 2', 2, ([a, b]) => `(${a} != ${b})`, { editions: [2] }),
  operation('!= of edition 3', 2, ([a, b]) => `(${a} != ${b})`, { editions: [3] }),
  operation('NOT', 1, ([a]) => `(NOT ${a})`),
  operation('IS NULL', 1, ([a]) => `(${a} IS NULL)`),
  operation('IS NOT NULL', 1, ([a]) => `(${a} IS NOT NULL)`),
  operation('IS TRUE', 1, ([a]) => `(${a} IS TRUE)`, { editions: [3] }),
  operation('IS NOT FALSE', 1, ([a]) => `(${a} IS NOT FALSE)`, { editions: [3] }),
  ...['text', 'integer', 'real', 'numeric', 'blob'].map((type) =>
    operation(`CAST ${type}`, 1, ([a]) => `CAST(${a} AS ${type})`),
  ),
  ...['upper', 'lower', 'length', 'hex', 'typeof', 'json_array_length', 'datetime', 'unixepoch'].map((name) =>
    call(name, 1),
  ),
  ...['substring', 'instr', 'ifnull', 'json_extract', 'datetime', 'unixepoch'].map((name) => call(name, 2)),
  ...['substring', 'iif'].map((name) => call(name, 3)),
  call('json_valid', 1, { editions: [2] }),
  operation('BETWEEN', 3, ([a, b, c]) => `(${a} BETWEEN ${b} AND ${c})`, { editions: [3] }),
  operation('CASE', 3, ([a, b, c]) => `(CASE WHEN ${a} THEN ${b} ELSE ${c} END)`, { editions: [3] }),
  operation('CASE of', 3, ([a, b, c]) => `(CASE ${a} WHEN ${b} THEN ${c} END)`, { editions: [3] }),
  operation('IN ARRAY', 3, ([a, b, c]) => `(${a} IN ARRAY[${b}, ${c}])`, {
    sqlite: ([a, b, c]) => `(${a} IN (${b}, ${c}))`,
    editions: [3],
  }),
  operation('IN JSON', 2, ([a, b]) => `(${a} IN ${b})`, {
    sqlite: ([a, b]) =>
      `CASE WHEN ${a} IS NULL OR ${b} IS NULL THEN NULL ELSE ${a} IN (SELECT value FROM json_each(${b})) END`,
    editions: [2],
  }),
];

export interface OperationNode {
  readonly operation: Operation;
  readonly operands: readonly ExpressionNode[];
}

/** A value is a column of the row. */
export type ExpressionNode = OperationNode | { readonly value: SqlValue };

const INTEGERS = [0n, 1n, -1n, 2n, 7n, 42n, 63n, 64n, -9n, 1700000000n].concat(
  [53n, 63n]
    .flatMap((bits) => [-1n, 0n, 1n].flatMap((by) => [2n ** bits + by, -(2n ** bits) + by]))
    .filter((value) => BigInt.asIntN(64, value) === value),
);
const REALS = [
  0,
  -0,
  0.5,
  -0.5,
  1,
  -3.2,
  2.5,
  3.99,
  7,
  1e21,
  1e-7,
  2 ** 53,
  2 ** 63,
  -(2 ** 63),
  1e308,
  5e-324,
  2460000.5,
];
const TEXTS =
  ` |0|1|-1|2|2abc|0.5|.5|1e3|+5| 3|-3.99|12.75kg|true|abc|ABC|Straße|İx|ÀÉ|👍🏽 ok|e\u0301|$|$.a|$.a.b|$.l|a|a.b|l|0|b` +
  '|2024-02-29|2024-02-29 23:00:00|2024-02-29T10:11:12.345Z|2024-02-29T23:00:00-02:00|2024-13-01|unixepoch|subsec|9223372036854775808|-9223372036854775809';
const JSONS = [
  '[]',
  '{}',
  '[1,2.5,"x",null,true]',
  '{"a":1,"b":"x"}',
  '{"a":{"b":2.0}}',
  '{"a.b":"dot","l":[1,[2]]}',
  'null',
  '"text"',
  '5',
  '2.50',
  'true',
  '{"a":null}',
  '{"a":9007199254740993,"b":1e3}',
  '[9223372036854775807]',
  '{"b":"\\u00e9\\ud83d\\ude00"}',
  '{bad',
];
const BLOBS = ['', '00', '61', 'c3a9', 'ff', '313233'].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')));
const POOLS: readonly (readonly SqlValue[])[] = [
  INTEGERS,
  REALS,
  TEXTS.split('|'),
  JSONS,
  BLOBS,
  [null],
  INTEGERS,
  TEXTS.split('|'),
];

const OF_JSON = new Set(['->', '->>', 'json_extract/2', 'json_array_length/1', 'json_valid/1']);

export class ExpressionGenerator {
  readonly #random: SeededRandom;
  readonly #operations: readonly Operation[];

  constructor(random: SeededRandom, edition: 2 | 3) {
    this.#random = random;
    this.#operations = operations.filter(({ editions }) => editions.includes(edition));
  }

  node(depth: number): OperationNode {
    const operation = this.#random.pick(this.#operations);
    const operands = Array.from({ length: operation.arity }, (_, index): ExpressionNode => {
      // Few random texts are JSON; operators on JSON are to get some.
      if (OF_JSON.has(operation.name) && index === 0 && this.#random.next() < 0.8)
        return { value: this.#random.pick(JSONS) };
      if (depth > 1 && this.#random.next() < 0.5) return this.node(depth - 1);
      return { value: this.#random.pick(this.#random.pick(POOLS)) };
    });
    return { operation, operands };
  }
}

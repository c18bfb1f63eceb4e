/**
 * Random expressions, by us and by real SQLite. Each operation of an expression is compared on the operands it really
 * gets; where it differs, a named entry of `intendedDifferences` must say why. The whole expression is then compared
 * too, through a rules document on our side, unless a difference below explains that it differs.
 */
import { parseSyncRules, type RowSink } from '@sluice/sync-rules';
import SQLite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { seededRandom } from '../kit/seeded-random.ts';
import { fullSize, sized, testSeed } from '../kit/size.ts';
import {
  type ExpressionNode,
  ExpressionGenerator,
  type OperationNode,
  type SqlValue,
} from './expression-operations.ts';
import { type Difference, intendedDifferences, type Outcome } from './sqlite-differences.ts';

type Edition = 2 | 3;
type Evaluate = (row: readonly SqlValue[]) => Outcome;

const RUNS = sized(5_000, 100_000);
const TIME_LIMIT_MS = sized(60_000, 1_800_000);

const database = new SQLite(':memory:');

function sqliteEvaluator(sql: string, columns: number): Evaluate {
  const names = Array.from({ length: columns }, (_, index) => `? AS c${index}`);
  const statement = database
    .prepare(`SELECT ${sql} FROM (SELECT ${names.join(', ')})`)
    .raw()
    .safeIntegers();
  return (row) => {
    try {
      const [value] = statement.get(...row) as SqlValue[];
      return { value: value ?? null };
    } catch (error) {
      return { error: String(error) };
    }
  };
}

/** What a query of a document makes of a row; the value by its own type, since JSON cannot tell all of them. */
function ourEvaluator(sql: string, columns: number, edition: Edition): Evaluate {
  const outputs = `SELECT 'x' AS id, typeof(${sql}) AS t, hex(${sql}) AS h, ${sql} AS v FROM t`;
  const document =
    edition === 2
      ? { config: { edition }, bucket_definitions: { g: { data: [outputs] } } }
      : { config: { edition }, streams: { g: { query: outputs } } };
  const { rules, diagnostics } = parseSyncRules(JSON.stringify(document), { defaultSchema: 'public' });
  const names = Array.from({ length: columns }, (_, index) => ({ name: `c${index}`, type: '', typeId: 0 }));
  const table = { connectionTag: 'default', schema: 'public', name: 't', columns: names };
  const evaluator = rules?.compileTypedTable(table);
  if (!evaluator) throw new Error(`${outputs}: ${JSON.stringify(diagnostics)}`);
  return (row) => {
    let outcome: Outcome = { error: 'nothing was emitted' };
    const sink: RowSink = {
      data: (_bucket, _type, _id, json) => {
        outcome = { value: valueOf(json) };
      },
      lookup: () => undefined,
      error: (_definition, error) => {
        outcome = { error };
      },
    };
    evaluator.evaluate(row, sink);
    return outcome;
  };
}

function valueOf(json: string): SqlValue {
  const { t, h } = JSON.parse(json) as { t: string; h: string };
  const text = Buffer.from(h, 'hex').toString();
  if (t === 'null') return null;
  if (t === 'integer') return BigInt(text);
  if (t === 'real') return Number(text);
  return t === 'blob' ? new Uint8Array(Buffer.from(h, 'hex')) : text;
}

function shown(outcome: Outcome): string {
  if ('error' in outcome) return 'error';
  const { value } = outcome;
  if (value === null) return 'null';
  if (typeof value === 'bigint') return `integer ${value}`;
  if (typeof value === 'number') return `real ${value}`;
  return typeof value === 'string' ? `text ${JSON.stringify(value)}` : `blob ${Buffer.from(value).toString('hex')}`;
}

class Comparison {
  readonly edition: Edition;
  readonly used: Map<string, number>;
  readonly unexplained: string[];
  readonly #ours = new Map<string, Evaluate>();
  readonly #sqlite = new Map<string, Evaluate>();
  /** Something in the expression at hand differs. */
  #differs = false;

  constructor(edition: Edition, used: Map<string, number>, unexplained: string[]) {
    this.edition = edition;
    this.used = used;
    this.unexplained = unexplained;
  }

  check(node: OperationNode): void {
    this.#differs = false;
    const composed = this.#byOperations(node);
    const row: SqlValue[] = [];
    const [ours, sqlite] = (['ours', 'sqlite'] as const).map((side) => {
      row.length = 0;
      return textOf(node, side, row);
    }) as [string, string];
    const whole = ourEvaluator(ours, row.length, this.edition)(row);
    if (composed !== null && shown(whole) !== shown(composed)) {
      this.unexplained.push(
        `${ours} on ${row.map((value) => shown({ value })).join(', ')}: ${shown(whole)}, in steps ${shown(composed)}`,
      );
    }
    if (this.#differs || composed === null) return;
    this.#compare({ operation: ours, operands: row, ours: whole, sqlite: sqliteEvaluator(sqlite, row.length)(row) });
  }

  /** Null: an operand has no value, so that the rest is not known. */
  #byOperations({ operation, operands }: OperationNode): Outcome | null {
    const values: SqlValue[] = [];
    for (const operand of operands) {
      const outcome = 'value' in operand ? operand : this.#byOperations(operand);
      if (outcome === null || 'error' in outcome) return null;
      values.push(outcome.value);
    }
    const names = values.map((_, index) => `c${index}`);
    const ours = this.#once(this.#ours, operation.name, () =>
      ourEvaluator(operation.ours(names), names.length, this.edition),
    )(values);
    if (values.some((value) => typeof value === 'bigint' && BigInt.asIntN(64, value) !== value)) {
      this.#differs = true;
      return ours;
    }
    const sqlite = this.#once(this.#sqlite, operation.name, () =>
      sqliteEvaluator(operation.sqlite(names), names.length),
    );
    this.#compare({ operation: operation.name, operands: values, ours, sqlite: sqlite(values) });
    return ours;
  }

  #once(made: Map<string, Evaluate>, name: string, make: () => Evaluate): Evaluate {
    const evaluate = made.get(name) ?? make();
    made.set(name, evaluate);
    return evaluate;
  }

  #compare(difference: Difference): void {
    if (shown(difference.ours) === shown(difference.sqlite)) return;
    this.#differs = true;
    const entries = intendedDifferences.filter(({ explains }) => explains(difference));
    for (const { name } of entries) this.used.set(name, (this.used.get(name) ?? 0) + 1);
    if (entries.length > 0) return;
    const operands = difference.operands.map((value) => shown({ value })).join(', ');
    this.unexplained.push(
      `${difference.operation} on ${operands}: ours ${shown(difference.ours)}, SQLite ${shown(difference.sqlite)}`,
    );
  }
}

function textOf(node: ExpressionNode, side: 'ours' | 'sqlite', row: SqlValue[]): string {
  if ('value' in node) return `c${row.push(node.value) - 1}`;
  return node.operation[side](node.operands.map((operand) => textOf(operand, side, row)));
}

test(`${RUNS} random expressions: ours is SQLite's result, or the difference has a name`, {
  timeout: TIME_LIMIT_MS,
}, () => {
  const random = seededRandom(testSeed);
  const used = new Map<string, number>();
  const unexplained: string[] = [];
  const editions = ([2, 3] as const).map((edition) => ({
    generator: new ExpressionGenerator(random, edition),
    comparison: new Comparison(edition, used, unexplained),
  }));
  for (let run = 0; run < RUNS; run++) {
    for (const { generator, comparison } of run % 2 === 0 ? editions.slice(0, 1) : editions.slice(1))
      comparison.check(generator.node(3));
  }
  expect([...new Set(unexplained)].slice(0, 400), `seed ${testSeed}: ${unexplained.length} unexplained`).toEqual([]);
  if (fullSize) expect(intendedDifferences.map(({ name }) => name).filter((name) => !used.has(name))).toEqual([]);
});

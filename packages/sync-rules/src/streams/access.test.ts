/**
 * Who sees what: random queries over random rows, against the plainest reading of their SQL. The reading walks over all
 * combinations of rows; the streams go through buckets, indexes and lookups, and must come to the same rows.
 */
import { expect, test } from 'vitest';
import { stream, type TestRow, visibleIds } from './test-kit.ts';

type Cell = null | bigint | number | string;
type Row = Readonly<Record<string, Cell>>;
type Tables = Readonly<Record<'p' | 'q' | 'r', readonly Row[]>>;

interface World {
  readonly tables: Tables;
  readonly token: { readonly sub: string; readonly k: unknown; readonly flag: unknown; readonly list: unknown };
}

/** Rows by the name they have in the query. */
type Scope = Readonly<Record<string, Row>>;

interface Atom {
  readonly sql: string;
  readonly holds: (scope: Scope, world: World) => boolean;
}

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

class Generator {
  readonly #random: () => number;
  #names = 0;

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }

  world(): World {
    const cell = () => this.pick<Cell>([1n, 2n, 2, '1', 'ann', 'bob', null]);
    const array = () => this.pick<Cell>([null, '[]', '[1]', '["ann",2]', '[2.0,null,"bob"]', '[1,1]']);
    const rows = (count: number, columns: readonly string[]) =>
      Array.from({ length: count }, (_, id): Row => {
        const cells = columns.map((name): [string, Cell] => [name, name === 'arr' ? array() : cell()]);
        return { id: BigInt(id), ...Object.fromEntries(cells) };
      });
    return {
      tables: {
        p: rows(6, ['a', 'b', 'c', 'arr']),
        q: rows(4, ['x', 'y', 'u', 'arr']),
        r: rows(4, ['x', 'y', 'u', 'arr']),
      },
      token: {
        sub: this.pick(['ann', 'bob']),
        k: this.pick([1, 2, '1', 'ann', null, undefined]),
        flag: this.pick([0, 1, true, null]),
        list: this.pick([[1, 'ann'], [2], ['bob', null], [], null, undefined]),
      },
    };
  }

  condition(atoms: (generator: Generator) => Atom, depth = 2): Atom {
    if (depth === 0 || this.#random() < 0.3) return atoms(this);
    const [left, right] = [this.condition(atoms, depth - 1), this.condition(atoms, depth - 1)];
    if (this.#random() < 0.55) {
      const holds: Atom['holds'] = (scope, world) => [left, right].every((side) => side.holds(scope, world));
      return { sql: `(${left.sql} AND ${right.sql})`, holds };
    }
    const holds: Atom['holds'] = (scope, world) => [left, right].some((side) => side.holds(scope, world));
    return { sql: `(${left.sql} OR ${right.sql})`, holds };
  }

  name(): string {
    return `t${this.#names++}`;
  }
}

function isEqual(left: unknown, right: unknown): boolean {
  if (left === null || left === undefined || right === null || right === undefined) return false;
  const [a, b] = [left, right].map((value) => (typeof value === 'boolean' ? Number(value) : value));
  return typeof a === 'string' || typeof b === 'string' ? a === b : Number(a) === Number(b);
}

function elementsOf(json: unknown): readonly unknown[] {
  const parsed: unknown = typeof json === 'string' ? JSON.parse(json) : json;
  return Array.isArray(parsed) ? parsed : [];
}

const userId: Value = { sql: 'auth.user_id()', of: (_, { token }) => token.sub };
const claim: Value = { sql: "auth.parameter('k')", of: (_, { token }) => token.k };

interface Value {
  readonly sql: string;
  readonly of: (scope: Scope, world: World) => unknown;
}

function column(table: string, name: string): Value {
  return { sql: `${table}.${name}`, of: (scope) => scope[table]?.[name] };
}

function equality(left: Value, right: Value): Atom {
  return {
    sql: `${left.sql} = ${right.sql}`,
    holds: (scope, world) => isEqual(left.of(scope, world), right.of(scope, world)),
  };
}

/** What stands between IN and the end of a query inside, correlated with its surroundings or not. */
function subquery(generator: Generator, outer: string, depth: number): { sql: string; values: Value['of'] } {
  const table = generator.pick(['q', 'r'] as const);
  const name = generator.name();
  const selected = column(name, generator.pick(['x', 'y']));
  const where = innerWhere(generator, name, outer, depth);
  return {
    sql: `(SELECT ${selected.sql} FROM ${table} AS ${name} WHERE ${where.sql})`,
    values: (scope, world) =>
      world.tables[table]
        .map((row) => ({ ...scope, [name]: row }))
        .filter((inner) => where.holds(inner, world))
        .map((inner) => selected.of(inner, world)),
  };
}

function innerWhere(generator: Generator, name: string, outer: string, depth: number): Atom {
  const atoms: (() => Atom)[] = [
    () => equality(column(name, 'u'), userId),
    () => equality(column(name, 'u'), userId),
    () => equality(column(name, 'y'), { sql: '1', of: () => 1 }),
    () => equality(column(name, 'y'), claim),
    () => equality(column(name, 'y'), column(outer, 'b')),
    () => inElements(column(name, 'x'), { sql: "auth.parameter('list')", of: (_, { token }) => token.list }),
    () => inElements(userId, column(name, 'arr')),
  ];
  if (depth > 0) atoms.push(() => inSubquery(generator, column(name, 'x'), name, depth - 1));
  return generator.condition((own) => own.pick(atoms)(), 1);
}

function inSubquery(generator: Generator, operand: Value, outer: string, depth: number): Atom {
  const { sql, values } = subquery(generator, outer, depth);
  return {
    sql: `${operand.sql} IN ${sql}`,
    holds: (scope, world) =>
      (values(scope, world) as readonly unknown[]).some((value) => isEqual(operand.of(scope, world), value)),
  };
}

function inElements(operand: Value, array: Value): Atom {
  return {
    sql: `${operand.sql} IN ${array.sql}`,
    holds: (scope, world) =>
      elementsOf(array.of(scope, world)).some((element) => isEqual(operand.of(scope, world), element)),
  };
}

/** Logic has two values: what is not true is false. */
function negated({ sql, holds }: Atom): Atom {
  return { sql: `NOT (${sql})`, holds: (scope, world) => !holds(scope, world) };
}

function outerAtom(generator: Generator): Atom {
  const own = column('p', generator.pick(['a', 'b', 'c']));
  const list: Value = { sql: "auth.parameter('list')", of: (_, { token }) => token.list };
  return generator.pick<() => Atom>([
    () => equality(own, userId),
    () => equality(own, claim),
    () => equality(own, { sql: '2', of: () => 2 }),
    () => negated(equality(own, { sql: '2', of: () => 2 })),
    () => negated(inElements({ sql: "'ann'", of: () => 'ann' }, column('p', 'arr'))),
    () => equality({ sql: "auth.parameter('flag')", of: (_, { token }) => token.flag }, { sql: '1', of: () => 1 }),
    () => inElements(own, list),
    () => inElements(userId, column('p', 'arr')),
    () => ({
      sql: "p.arr && auth.parameter('list')",
      holds: (scope, world) =>
        elementsOf(scope['p']?.['arr']).some((left) =>
          elementsOf(world.token.list).some((right) => isEqual(left, right)),
        ),
    }),
    () => inSubquery(generator, own, 'p', 1),
    () => inSubquery(generator, own, 'p', 1),
    () => inSubquery(generator, userId, 'p', 1),
    () => inSubquery(generator, claim, 'p', 0),
  ])();
}

/** What p is joined with. */
interface Joined {
  readonly name: string;
  readonly rows: (scope: Scope, world: World) => readonly Row[];
  /** Columns to compare with. */
  readonly columns: readonly string[];
}

const q: Joined = { name: 'q', rows: (_, { tables }) => tables.q, columns: ['u', 'y'] };
const r: Joined = { name: 'r', rows: (_, { tables }) => tables.r, columns: ['u', 'y'] };
/** Elements of an array of the row, and of the request. */
const ofRow: Joined = { name: 'l', rows: (scope) => elementRows(scope['p']?.['arr']), columns: ['value'] };
const ofRequest: Joined = { name: 'm', rows: (_, { token }) => elementRows(token.list), columns: ['value'] };
/** A query in FROM. */
const ofQuery: Joined = {
  name: 'd',
  rows: (_, { tables, token }) =>
    tables.q.filter((row) => isEqual(row['u'], token.sub)).map((row) => ({ k: row['x'] ?? null })),
  columns: ['k'],
};

function elementRows(array: unknown): readonly Row[] {
  return elementsOf(array).map((value) => ({ value: value as Cell }));
}

interface From {
  readonly sql: string;
  readonly joined: readonly Joined[];
  readonly on: readonly Atom[];
}

/** FROM p, with others joined or not. */
function fromClause(generator: Generator): From {
  const columns = ['x', 'y', 'u'];
  const toQ = equality(column('p', generator.pick(['a', 'b'])), column('q', generator.pick(columns)));
  const both = equality(column('q', generator.pick(columns)), column('r', generator.pick(columns)));
  const toR = equality(column('p', generator.pick(['b', 'c'])), column('r', generator.pick(columns)));
  const toD = equality(column('d', 'k'), column('p', 'c'));
  const derived = '(SELECT x AS k FROM q WHERE u = auth.user_id()) AS d';
  return generator.pick<From>([
    { sql: 'p', joined: [], on: [] },
    { sql: 'p', joined: [], on: [] },
    { sql: `p JOIN q ON ${toQ.sql}`, joined: [q], on: [toQ] },
    { sql: `p JOIN q ON ${toQ.sql} JOIN r ON ${both.sql}`, joined: [q, r], on: [toQ, both] },
    { sql: `p JOIN q ON ${toQ.sql} JOIN r ON ${both.sql} AND ${toR.sql}`, joined: [q, r], on: [toQ, both, toR] },
    { sql: 'p, q', joined: [q], on: [] },
    { sql: 'p, json_each(p.arr) AS l', joined: [ofRow], on: [] },
    { sql: "p, json_each(auth.parameter('list')) AS m", joined: [ofRequest], on: [] },
    {
      sql: "p, json_each(p.arr) AS l, json_each(auth.parameter('list')) AS m, q",
      joined: [ofRow, ofRequest, q],
      on: [],
    },
    { sql: `p, ${derived}`, joined: [ofQuery], on: [] },
    { sql: `p JOIN ${derived} ON ${toD.sql}`, joined: [ofQuery], on: [toD] },
  ]);
}

function joinedAtom(generator: Generator, joined: readonly Joined[]): Atom {
  if (joined.length === 0 || generator.pick([true, false])) return outerAtom(generator);
  const one = generator.pick(joined);
  const own = column(one.name, generator.pick(one.columns));
  const other = generator.pick(joined);
  return generator.pick([
    equality(own, userId),
    equality(own, claim),
    equality(own, column('p', generator.pick(['a', 'c']))),
    one === other ? equality(own, claim) : equality(own, column(other.name, generator.pick(other.columns))),
  ]);
}

function expected(world: World, { joined, on }: From, where: Atom): readonly string[] {
  const ids = new Set<string>();
  for (const p of world.tables.p) {
    let scopes: readonly Scope[] = [{ p }];
    for (const { name, rows } of joined) {
      scopes = scopes.flatMap((scope) => rows(scope, world).map((row) => ({ ...scope, [name]: row })));
    }
    if (scopes.some((scope) => [...on, where].every(({ holds }) => holds(scope, world)))) ids.add(String(p['id']));
  }
  return [...ids].sort();
}

const RUNS = Number(process.env['SLUICE_ACCESS_RUNS'] ?? 150);

test(`${RUNS} random streams show the rows their SQL says`, async () => {
  let compiled = 0;
  let shown = 0;
  for (let seed = 1; seed <= RUNS; seed++) {
    const generator = new Generator(seed);
    const from = fromClause(generator);
    const where = generator.condition((own) => joinedAtom(own, from.joined));
    const yaml = stream(`SELECT p.* FROM ${from.sql} WHERE ${where.sql}`);
    for (let worlds = 0; worlds < 3; worlds++) {
      const world = generator.world();
      const rows = Object.entries(world.tables).flatMap(([table, list]) =>
        list.map((row): TestRow => ({ table, row })),
      );
      const visible = await visibleIds(yaml, rows, {
        token: JSON.parse(JSON.stringify(world.token)) as object as never,
      });
      expect(visible, `seed ${seed}, world ${worlds}\n${yaml}`).toEqual(expected(world, from, where));
      shown += visible.length;
    }
    compiled++;
  }
  expect(compiled).toBe(RUNS);
  expect(shown).toBeGreaterThan(RUNS);
});

/** Random rules of both dialects, each with the SQL that says whose rows they are, and random tables and claims. */
import type { SeededRandom } from '../kit/seeded-random.ts';

export interface AccessRules {
  readonly yaml: string;
  /** Ids of the rows of p that the claims give access to, in Postgres. */
  readonly oracle: (claims: Claims) => string;
}

export interface Claims {
  readonly sub: string;
  readonly k: string | number | null;
  readonly list: readonly string[] | null;
}

/** One condition in the words of the rules, and of Postgres. Logic has two values: what is null is false. */
interface Condition {
  readonly rules: string;
  readonly postgres: (claims: Claims) => string;
}

export const TABLES = {
  p: { id: 'int4', a: 'text', b: 'text', n: 'int4', arr: 'jsonb' },
  q: { id: 'int4', x: 'text', y: 'text', u: 'text', n: 'int4', arr: 'jsonb' },
  r: { id: 'int4', x: 'text', y: 'text', u: 'text', n: 'int4', arr: 'jsonb' },
} as const;

const TEXTS = ['ann', 'bob', 'x', 'y', '1', null] as const;
const NUMBERS = [1, 2, 3, null] as const;
const ARRAYS = ['[]', '["ann"]', '["x", "y", "x"]', '["bob", null, "1"]', null] as const;

export function randomRows(random: SeededRandom, table: keyof typeof TABLES): readonly (readonly (string | null)[])[] {
  return Array.from({ length: 6 }, (_, id) =>
    Object.entries(TABLES[table]).map(([name, type]) => {
      if (name === 'id') return String(id);
      if (type === 'jsonb') return random.pick(ARRAYS);
      return type === 'int4' ? (random.pick(NUMBERS)?.toString() ?? null) : random.pick(TEXTS);
    }),
  );
}

export function randomClaims(random: SeededRandom): Claims {
  return {
    sub: random.pick(['ann', 'bob']),
    k: random.pick(['x', 'y', 1, 2, 2.5, null]),
    list: random.pick([[], ['x'], ['ann', 'x', 'x'], ['1', 'bob'], null]),
  };
}

function literal(value: string | number | null): string {
  if (value === null) return 'null';
  return typeof value === 'number' ? String(value) : `'${value}'`;
}

/** A claim that is compared with a text column equals nothing if it is a number, and the other way round. */
const k = (claims: Claims, type: 'text' | 'number'): string => {
  const fits = type === 'number' ? typeof claims.k === 'number' : typeof claims.k === 'string';
  return fits ? literal(claims.k) : 'null';
};
const listOf = ({ list }: Claims): string =>
  `(select jsonb_array_elements_text(${literal(JSON.stringify(list ?? []))}))`;
const elementsOf = (column: string): string =>
  `(select jsonb_array_elements_text(case when jsonb_typeof(${column}) = 'array' then ${column} end))`;

type Words = { readonly user: string; readonly k: string; readonly list: string };

const STREAM_WORDS: Words = { user: 'auth.user_id()', k: "auth.parameter('k')", list: "auth.parameter('list')" };
const BUCKET_WORDS: Words = { user: 'request.user_id()', k: "request.jwt() ->> 'k'", list: "request.jwt() -> 'list'" };

const same = (sql: string): Condition => ({ rules: sql, postgres: () => sql });

function joined(operator: 'AND' | 'OR', conditions: readonly Condition[]): Condition {
  const both = (texts: readonly string[]): string => `(${texts.join(` ${operator} `)})`;
  return {
    rules: both(conditions.map(({ rules }) => rules)),
    postgres: (claims) => both(conditions.map(({ postgres }) => `coalesce(${postgres(claims)}, false)`)),
  };
}

function onRequest(random: SeededRandom, column: string, words: Words): Condition {
  return random.pick<Condition>([
    { rules: `${column} = ${words.user}`, postgres: ({ sub }) => `${column} = ${literal(sub)}` },
    { rules: `${column} = ${words.user}`, postgres: ({ sub }) => `${column} = ${literal(sub)}` },
    { rules: `${column} = ${words.k}`, postgres: (claims) => `${column} = ${k(claims, 'text')}` },
    { rules: `${column} IN ${words.list}`, postgres: (claims) => `${column} in ${listOf(claims)}` },
  ]);
}

function onNumber(column: string, words: Words): Condition {
  return { rules: `${column} = ${words.k}`, postgres: (claims) => `${column} = ${k(claims, 'number')}` };
}

function userIn(column: string, words: Words): Condition {
  return {
    rules: `${words.user} IN ${column}`,
    postgres: ({ sub }) => `coalesce(${literal(sub)} in ${elementsOf(column)}, false)`,
  };
}

function onRow(random: SeededRandom, table: string): Condition {
  const column = random.pick(['n', 'id']);
  return random.pick<Condition>([
    same(`${table}.${column} > 1`),
    same(`${table}.n IS NULL`),
    { rules: `NOT (${table}.n = 2)`, postgres: () => `not coalesce(${table}.n = 2, false)` },
    { rules: `${table}.n != 1`, postgres: () => `${table}.n is distinct from 1` },
  ]);
}

let names = 0;

function inSubquery(random: SeededRandom, operand: string, outer: string, depth: number): Condition {
  const table = random.pick(['q', 'r']);
  const name = `t${names++}`;
  const column = `${name}.${random.pick(['x', 'y'])}`;
  const atoms: Condition[] = [
    onRequest(random, `${name}.u`, STREAM_WORDS),
    userIn(`${name}.arr`, STREAM_WORDS),
    onRow(random, name),
    same(`${name}.n = ${outer}.n`),
  ];
  if (depth > 0) atoms.push(inSubquery(random, `${name}.u`, name, depth - 1));
  const where = joined('AND', [random.pick(atoms), random.pick(atoms)]);
  const query = (text: string): string => `(SELECT ${column} FROM ${table} AS ${name} WHERE ${text})`;
  return {
    rules: `${operand} IN ${query(where.rules)}`,
    postgres: (claims) => `${operand} in ${query(where.postgres(claims))}`,
  };
}

function streamCondition(random: SeededRandom, joins: readonly string[], depth: number): Condition {
  if (depth > 0 && random.next() < 0.6) {
    const sides = [streamCondition(random, joins, depth - 1), streamCondition(random, joins, depth - 1)];
    return joined(random.pick(['AND', 'OR']), sides);
  }
  const table = random.pick(['p', ...joins]);
  const text = table === 'p' ? random.pick(['a', 'b']) : random.pick(['x', 'y', 'u']);
  const atoms: (() => Condition)[] = [
    () => onRequest(random, `${table}.${text}`, STREAM_WORDS),
    () => onNumber(`${table}.n`, STREAM_WORDS),
    () => userIn(`${table}.arr`, STREAM_WORDS),
    () => onRow(random, table),
    () => inSubquery(random, `p.${random.pick(['a', 'b'])}`, 'p', 1),
  ];
  return random.pick(atoms)();
}

export function randomStream(random: SeededRandom): AccessRules {
  const from = random.pick([
    { sql: 'p', tables: [] },
    { sql: 'p', tables: [] },
    { sql: 'p JOIN q ON q.x = p.a', tables: ['q'] },
    { sql: 'p JOIN q ON q.n = p.n AND q.y = p.b', tables: ['q'] },
    { sql: 'p JOIN q ON q.x = p.a JOIN r ON r.u = q.u', tables: ['q', 'r'] },
    { sql: 'p, q', tables: ['q'] },
  ]);
  const where = streamCondition(random, from.tables, 2);
  const streams = { s: { auto_subscribe: true, query: `SELECT p.* FROM ${from.sql} WHERE ${where.rules}` } };
  return {
    yaml: JSON.stringify({ config: { edition: 3 }, streams }),
    oracle: (claims) => `SELECT DISTINCT p.id FROM ${from.sql} WHERE ${where.postgres(claims)}`,
  };
}

/** A parameter query gives the values of v; a data query says which rows of p are in the bucket of v. */
export function randomBucketDefinition(random: SeededRandom): AccessRules {
  const table = random.pick(['q', 'r']);
  const conditions = [
    onRequest(random, `${table}.u`, BUCKET_WORDS),
    random.pick([
      userIn(`${table}.arr`, BUCKET_WORDS),
      same(`${table}.n = 2`),
      same(`${table}.n IS NULL`),
      onNumber(`${table}.n`, BUCKET_WORDS),
    ]),
  ].slice(0, 1 + random.int(2));
  const stored = joined('AND', conditions);
  const values = random.pick<{ parameters: string; postgres: (claims: Claims) => string }>([
    {
      parameters: `SELECT ${table}.x AS v FROM ${table} WHERE ${stored.rules}`,
      postgres: (claims) => `(select ${table}.x from ${table} where ${stored.postgres(claims)})`,
    },
    { parameters: 'SELECT request.user_id() AS v', postgres: ({ sub }) => `(select ${literal(sub)})` },
    { parameters: "SELECT value AS v FROM json_each(request.jwt() -> 'list')", postgres: listOf },
  ]);
  const column = random.pick(['a', 'b']);
  const match = random.pick<{ rules: string; postgres: (values: string) => string }>([
    { rules: `p.${column} = bucket.v`, postgres: (found) => `p.${column} in ${found}` },
    // In editions 1 and 2 a null among the elements is a value, and so is a null that a parameter query gives.
    { rules: 'bucket.v IN p.arr', postgres: (found) => `exists (${elementsOf('p.arr')} intersect ${found})` },
    { rules: '(p.a = bucket.v OR p.b = bucket.v)', postgres: (found) => `(p.a in ${found} or p.b in ${found})` },
  ]);
  const filter = random.pick([null, same('p.id > 1'), same('p.n IS NULL'), same('p.n = 1')]);
  const where = filter === null ? match.rules : `${match.rules} AND ${filter.rules}`;
  const definition = { parameters: values.parameters, data: [`SELECT * FROM p WHERE ${where}`] };
  return {
    yaml: JSON.stringify({ config: { edition: 2 }, bucket_definitions: { d: definition } }),
    oracle: (claims) => {
      const own = filter === null ? '' : ` and ${filter.postgres(claims)}`;
      return `SELECT p.id FROM p WHERE ${match.postgres(values.postgres(claims))}${own}`;
    },
  };
}

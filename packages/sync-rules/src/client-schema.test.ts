import { expect, test } from 'vitest';
import type { SourceSchema } from './api.ts';
import { clientSchema } from './client-schema.ts';

const source: SourceSchema = {
  tables: [
    {
      schema: 'public',
      name: 'lists',
      columns: Object.entries({ id: 'uuid', n: 'int4', r: 'float8', b: 'bytea', t: 'text', _h: 'bool' }).map(
        ([name, type]) => ({ name, type }),
      ),
    },
    {
      schema: 'public',
      name: 'log_a',
      columns: [
        { name: 'id', type: 'int8' },
        { name: 'x', type: 'int8' },
      ],
    },
    {
      schema: 'public',
      name: 'log_b',
      columns: [
        { name: 'id', type: 'int8' },
        { name: 'x', type: 'numeric' },
      ],
    },
  ],
};

function columnsOf(yaml: string, schema: SourceSchema | null = source) {
  const options = { defaultSchema: 'public', ...(schema === null ? {} : { schema }) };
  const { tables } = clientSchema(yaml, options).schema ?? { tables: [] };
  return Object.fromEntries(
    tables.map(({ name, columns, complete }) => [
      complete ? name : `${name}?`,
      columns.map((column) => `${column.name} ${column.type}`).join(', '),
    ]),
  );
}

const bucket = (...queries: string[]) =>
  `bucket_definitions:\n  g:\n    data:\n${queries.map((query) => `      - ${JSON.stringify(query)}\n`).join('')}`;

test('a star takes the columns of the source; id, blobs and (before edition 3) _ columns are left out', () => {
  expect(columnsOf(bucket('SELECT * FROM lists'))).toEqual({ lists: 'n integer, r real, t text' });
  const streams = 'config: { edition: 3 }\nstreams:\n  s: { query: SELECT * FROM lists }\n';
  expect(columnsOf(streams)).toEqual({ lists: 'n integer, r real, t text, _h integer' });
});

test('one output table is the union of its queries', () => {
  expect(columnsOf(bucket('SELECT id, n AS v FROM lists', 'SELECT id, r AS v, t FROM lists AS "lists"'))).toEqual({
    lists: 'v real, t text',
  });
  expect(columnsOf(bucket('SELECT id, x FROM "log_%" AS log'))).toEqual({ log: 'x text' });
  expect(columnsOf(bucket('SELECT id, x, _table_suffix AS s FROM "log_%"'))).toEqual({
    log_a: 'x integer, s text',
    log_b: 'x text, s text',
  });
});

test('expressions have the types of what they give', () => {
  const outputs = {
    'upper(t)': 'text',
    'length(t)': 'integer',
    'n + 1': 'integer',
    'n + r': 'real',
    "n || 'x'": 'text',
    'n = 1': 'integer',
    'CAST(t AS real)': 'real',
    'ifnull(n, r)': 'real',
    "iif(n, 1, 'a')": 'text',
    null: 'text',
    "t ->> 'k'": 'text',
    'not n': 'integer',
    'unixepoch(t)': 'integer',
  };
  for (const [sql, type] of Object.entries(outputs)) {
    expect(columnsOf(bucket(`SELECT id, ${sql} AS v FROM lists`)), sql).toEqual({ lists: `v ${type}` });
  }
});

test('without the source, stars are incomplete and columns are text', () => {
  expect(columnsOf(bucket('SELECT *, n AS m FROM lists', 'SELECT id, t FROM other'), null)).toEqual({
    'lists?': 'm text',
    other: 't text',
  });
});

test('rules with errors have no schema', () => {
  const { schema, diagnostics } = clientSchema(bucket('SELECT'), { defaultSchema: 'public' });
  expect(schema).toBeNull();
  expect(diagnostics.length).toBeGreaterThan(0);
});

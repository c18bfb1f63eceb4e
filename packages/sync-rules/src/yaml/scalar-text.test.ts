import { isScalar, parseDocument, type Scalar, visit } from 'yaml';
import { describe, expect, test } from 'vitest';
import { Nodes } from './nodes.ts';

/** SQL of every scalar value under `q`, by the YAML library and by us, with the place of `needle` in the document. */
function locate(document: string, needle: string): { sql: string; value: unknown; covered: string[] } {
  const yaml = parseDocument(document, { version: '1.2' });
  let found: Scalar | undefined;
  visit(yaml, {
    Scalar: (key, node) => {
      if (key !== 'key') found = node;
    },
  });
  if (found === undefined || !isScalar(found)) throw new Error('no scalar');
  const sql = new Nodes(document, yaml).sql(found);
  if (sql === null) throw new Error('no SQL');
  const covered: string[] = [];
  for (let at = sql.sql.indexOf(needle); at >= 0; at = sql.sql.indexOf(needle, at + 1)) {
    const { start, end } = sql.toDocument({ start: at, end: at + needle.length });
    covered.push(document.slice(start, end));
  }
  return { sql: sql.sql, value: found.value, covered };
}

const styles: Readonly<Record<string, string>> = {
  plain: 'q: SELECT id, nope(x) AS y FROM a\n',
  'plain over lines': 'q: SELECT id,\n    nope(x)\n\n    AS y # a comment\n',
  'single quotes': "q: 'SELECT ''a'' , nope(x)'\n",
  'single quotes over lines': "q: 'SELECT ''a''  \n\n\n   , nope(x)\n  FROM a'\n",
  'double quotes': 'q: "SELECT \\"a\\" , \\u00e9\\x41\\U0001F600 nope(x)"\n',
  'double quotes over lines': 'q: "SELECT \\\n     1, \\\n\n\n   \\ 2,\n\n  nope(x) \\t \n  FROM a"\n',
  literal: 'q: |\n   SELECT id,\n     nope(x)\n\n   FROM a\n\n',
  'literal, strip': 'q: |-\n   SELECT id,\n     nope(x)\n',
  'literal, keep, comment': 'q: |+ # why\n   SELECT id,\n\n\n   nope(x)\n\n\n',
  'literal with an indent': 'q: |2\n    SELECT\n   nope(x)\n',
  folded: 'q: >\n  SELECT id,\n  nope(x)\n\n  FROM a\n    WHERE more\n  AND less\n',
  'folded, strip, blank lines first': 'q: >-\n\n\n  SELECT\n\n\n     nope(x)\n     FROM a\n  WHERE\n',
  'flow list': 'q: [SELECT nope(x)]\n',
  'emoji before': 'a: \u{1F600}\nq: SELECT "\u{1F600}" , nope(x)\n',
};

describe.each([
  ['LF', (text: string) => text],
  ['CRLF', (text: string) => text.replaceAll('\n', '\r\n')],
])('%s', (_, ending) => {
  test.each(Object.entries(styles))('%s', (_, document) => {
    const { sql, value, covered } = locate(ending(document), 'nope(x)');
    expect(sql).toBe(value);
    expect(covered).toEqual(['nope(x)']);
  });
});

test('an escape is covered as a whole', () => {
  expect(locate("q: 'SELECT ''a'''\n", "'a'").covered).toEqual(["''a''"]);
  expect(locate('q: "\\u0041"\n', 'A').covered).toEqual(['\\u0041']);
  expect(locate('q: "a\n  b"\n', ' ').covered).toEqual(['\n  ']);
});

test('random scalars decode to what the YAML library reads, each character to its own place', () => {
  let seed = 66;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  const pieces = ['a', 'bc', ' ', '  ', "''", '\n', '\n\n', '\n   ', ',', '(x)', '\u{1F600}', '\t'];
  let mapped = 0;
  for (let round = 0; round < 4000; round++) {
    const content = Array.from({ length: 1 + random(12) }, () => pieces[random(pieces.length)]).join('');
    const indented = content.replaceAll('\n', '\n  ');
    const style = random(4);
    const document = [`q: '${indented}'\n`, `q: "${indented}"\n`, `q: |\n  ${indented}\n`, `q: >\n  ${indented}\n`][
      style
    ];
    const yaml = parseDocument(document ?? '', { version: '1.2' });
    const node = yaml.get('q', true);
    if (yaml.errors.length > 0 || !isScalar(node)) continue;
    const sql = new Nodes(document ?? '', yaml).sql(node);
    expect(sql?.sql).toBe(node.value);
    for (let at = 0; at < (sql?.sql.length ?? 0); at++) {
      const character = sql?.sql[at] ?? '';
      if (!/[a-z(),]/.test(character)) continue;
      const range = sql?.toDocument({ start: at, end: at + 1 });
      const covered = document?.slice(range?.start, range?.end);
      if (covered === character) mapped++;
      else expect({ document, at, covered }).toEqual({ document, at, covered: character });
    }
  }
  expect(mapped).toBeGreaterThan(5000);
});

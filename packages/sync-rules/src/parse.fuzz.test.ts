import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cpuTimed } from './test-cpu-time.ts';
import { diagnosticCodes } from './diagnostic-codes.ts';
import { parseSyncRules } from './parse.ts';

const documents: string[] = [
  `config:
  edition: 2
  timestamp_max_precision: milliseconds
bucket_definitions:
  mine: &mine
    priority: 1
    parameters:
      - SELECT request.user_id() AS u, 2 AS _priority WHERE request.jwt() ->> '$.role' IN '["a","b"]'
      - SELECT o.id AS u FROM "s.t"."o_%" WHERE lower(owner) = lower(request.jwt() ->> 'e') AND x IN request.jwt() -> 'l'
      - SELECT value AS u FROM json_each(request.parameters() -> 'us') AS e WHERE e.value != 'x'
    data:
      - SELECT *, upper(name) AS name FROM t AS "T" WHERE u = bucket.u AND (n > 1 OR NOT done)
      - |
        SELECT id, CAST(a AS text) || 'x''y' AS b
          FROM "log_%" WHERE bucket.u IN people -- who
      - >-
        SELECT id, _table_suffix AS s
          FROM "log_%"

        WHERE owner = bucket.u OR
          helper = bucket.u
      - "SELECT id, json_extract(j, '$.a\\u002Eb') AS c FROM t WHERE \\
         u = bucket.u"
event_definitions:
  e: { payloads: [SELECT id FROM t] }
`,
  `config: { edition: 3 }
with:
  orgs: SELECT org AS o FROM members WHERE person = auth.user_id()
streams:
  a:
    auto_subscribe: true
    queries:
      - SELECT t.*, CASE WHEN t.n BETWEEN 1 AND 2 THEN 'x' ELSE t.b END AS k FROM t JOIN orgs ON t.org = orgs.o
      - SELECT id FROM t WHERE a && subscription.parameter('as') AND NOT (b = 1 OR c IN ARRAY[1, 2])
  b:
    with: { mine: SELECT id FROM l WHERE o = auth.parameter('o') }
    query: SELECT id FROM t WHERE l IN mine OR l IN (SELECT x.value FROM acl, json_each(acl.ls) AS x WHERE acl.u = auth.user_id())
`,
  `bucket_definitions: # edition 1
  g:
    data: [SELECT * FROM t, SELECT id FROM "Other"]
`,
];

/** Files that are wrong already, in every way we could think of. */
const corpus = join(import.meta.dirname, '../../../test/corpus/rules');
for (const kind of ['yaml', 'sql']) {
  for (const name of readdirSync(join(corpus, kind))) documents.push(readFileSync(join(corpus, kind, name), 'utf8'));
}

const ROUNDS = Number(process.env.SLUICE_FUZZ_ROUNDS ?? (process.env.SLUICE_TEST_SIZE === 'full' ? 100_000 : 1500));
/** Of processor time: other processes may have the machine too. */
const HANG_MS = 100;
const TIME_LIMIT_MS = 60_000 + ROUNDS * 10;

const scraps =
  `' " ( ) [ ] { } , ; : - | > & * ! # % @ \\ \n \r\n \t NULL AND OR NOT IN SELECT FROM WHERE AS CASE END JOIN ON
  1 1.5 .. :: -> ->> || && $1 <> = 'a' "b" bucket.u request.user_id() \u{1F600} \u0000 \ud800 /* -- <<: *mine &x !t ~ true`.split(
    / +/,
  );

function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
}

function mutated(document: string, random: (below: number) => number): string {
  let text = document;
  for (let count = 1 + random(4); count > 0; count--) {
    const at = random(text.length + 1);
    const scrap = scraps[random(scraps.length)] ?? '';
    const length = random(6);
    const choice = random(4);
    if (choice === 0) text = text.slice(0, at) + text.slice(at + length);
    else if (choice === 1) text = text.slice(0, at) + scrap + text.slice(at);
    else if (choice === 2) text = text.slice(0, at) + scrap + text.slice(at + length);
    else text = text.slice(0, at) + text.slice(random(text.length), random(text.length)) + text.slice(at);
  }
  return text;
}

/** A collection of garbage may fall into one parse, not into all of several. */
function shortestOf(count: number, text: string): number {
  const times = Array.from({ length: count }, () => {
    return cpuTimed(() => parseSyncRules(text, { defaultSchema: 'public' })).cpuMs;
  });
  return Math.min(...times);
}

test(
  'mutated documents: no throw, no hang, every problem coded and placed',
  () => {
    const random = randomOf(20260101);
    let slowest = { ms: 0, text: '' };
    let deployable = 0;
    const wrong: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const text = mutated(documents[random(documents.length)] ?? '', random);
      const { result, cpuMs: ms } = cpuTimed(() => parseSyncRules(text, { defaultSchema: 'public' }));
      const { diagnostics, rules } = result;
      if (ms > slowest.ms) slowest = { ms: ms > HANG_MS ? shortestOf(3, text) : ms, text };
      for (const { code, start: from, end, text: covered } of diagnostics) {
        if (!Object.hasOwn(diagnosticCodes, code) || text.slice(from, end) !== covered) wrong.push(text);
      }
      if ((rules === null) !== diagnostics.some(({ severity }) => severity === 'fatal')) wrong.push(text);
      if (rules === null) continue;
      deployable++;
      const columns = ['id', 'u', 'name', 'n', 'people'].map((name) => ({ name, type: 'text', typeId: 25 }));
      const errors: string[] = [];
      const sink = {
        data: () => undefined,
        lookup: () => undefined,
        error: (_: string, message: string) => errors.push(message),
      };
      const table = { connectionTag: 'default', schema: 'public', name: 't', columns };
      rules.compileTable(table)?.evaluate(['1', 'ann', null, '2', '["ann"]'], sink);
      const token = { sub: 'ann', role: 'a', l: ['x'] };
      rules.resolve({ token, parameters: { us: ['b'] }, subscriptions: [], includeDefaults: true });
    }
    expect(wrong).toEqual([]);
    expect(deployable).toBeGreaterThan(ROUNDS / 100);
    expect(slowest.ms, slowest.text).toBeLessThan(HANG_MS);
  },
  TIME_LIMIT_MS,
);

test.each([
  ['flow brackets', '['.repeat(100_000)],
  ['compact lists', `${'- '.repeat(100_000)}a`],
  ['deep blocks', Array.from({ length: 2000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
  ['properties', '&a '.repeat(100_000)],
  ['tags over lines', '!a\n'.repeat(100_000)],
  ['keys', Array.from({ length: 60_000 }, (_, index) => `k${index}: 1\n`).join('')],
  ['size', 'a'.repeat(2_000_000)],
  [
    'aliases',
    `bucket_definitions:\n  a: &a\n    data: &d [${'a,'.repeat(2000)}]\n${Array.from({ length: 2000 }, (_, index) => `  b${index}: {data: *d}\n`).join('')}`,
  ],
  ['alias of itself', 'bucket_definitions: &a\n  b: *a\n'],
  ['quoted blanks', `bucket_definitions: {a: {data: ["${' '.repeat(500_000)}"]}}`],
])(
  'hostile %s end in a coded error',
  (_, text) => {
    const { result, cpuMs } = cpuTimed(() => parseSyncRules(text, { defaultSchema: 'public' }));
    expect(result.rules).toBeNull();
    expect(result.diagnostics.length).toBeGreaterThan(0);
    expect(cpuMs).toBeLessThan(20_000);
  },
  60_000,
);

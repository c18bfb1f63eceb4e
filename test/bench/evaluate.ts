/**
 * Evaluation of rules, per row, in this process alone: rows as the Postgres source sends them to the JSON text and the
 * buckets of each; against `JSON.stringify` of the same row as an object. Both are measured in turns, in user CPU time,
 * since other processes may have the machine too; the median turn counts.
 */
import type { RawRow } from '@sluice/core';
import { parseSyncRules, type RowSink, type TableShape } from '@sluice/sync-rules';
import type { BenchOptions } from './options.ts';
import { type Figure, ReportBuilder } from './report.ts';

const PROMISED_RATIO = 0.5;
const ROUNDS = 9;
/** Different rows, so that no single one stays in every cache. */
const ROWS_APART = 1000;

const TYPES = {
  id: 'uuid',
  owner: 'text',
  title: 'text',
  position: 'int4',
  done: 'bool',
  price: 'float8',
  created: 'timestamptz',
  tags: 'jsonb',
} as const;

const TABLE: TableShape = {
  connectionTag: 'default',
  schema: 'public',
  name: 'items',
  columns: Object.entries(TYPES).map(([name, type]) => ({ name, type, typeId: 0 })),
};

const FIVE_QUERIES = [
  ['SELECT request.user_id() AS u', 'SELECT * FROM items WHERE owner = bucket.u'],
  ['SELECT request.user_id() AS u', 'SELECT id, title, position FROM items WHERE owner = bucket.u AND done = 0'],
  ["SELECT request.jwt() ->> 'p' AS p", 'SELECT * FROM items WHERE position = bucket.p'],
  ['SELECT', "SELECT id, upper(title) AS title FROM items WHERE tags ->> 'kind' = 'note'"],
  ['SELECT id AS l FROM lists WHERE owner = request.user_id()', 'SELECT * FROM items WHERE owner = bucket.l'],
];

const DOCUMENTS: readonly { readonly what: string; readonly yaml: string; readonly promised: number | null }[] = [
  {
    what: 'SELECT * of 8 columns',
    yaml: 'config: { edition: 2 }\nbucket_definitions:\n  all: { data: [SELECT * FROM items] }\n',
    promised: PROMISED_RATIO,
  },
  {
    what: '5 definitions on one table',
    yaml: JSON.stringify({
      config: { edition: 2 },
      bucket_definitions: Object.fromEntries(
        FIVE_QUERIES.map(([parameters, data], index) => [`d${index}`, { parameters, data: [data] }]),
      ),
    }),
    promised: null,
  },
  {
    what: 'a stream of edition 3 with a join',
    yaml: JSON.stringify({
      config: { edition: 3 },
      streams: {
        s: {
          query:
            'SELECT items.* FROM items JOIN lists ON lists.id = items.owner JOIN members ON members.list = lists.id ' +
            'WHERE members.person = auth.user_id() AND items.done = 0',
        },
      },
    }),
    promised: null,
  },
];

function rawRows(): readonly RawRow[] {
  return Array.from({ length: ROWS_APART }, (_, index) => [
    `0f8fad5b-d9cb-469f-a165-${String(70_867_728_950 + index).padStart(12, '0')}`,
    `owner-${index % 37}`,
    `The title of item ${index}, of usual length`,
    String(index),
    'f',
    String(index / 8),
    `2024-03-04 05:06:07.${String(100_000 + index)}+00`,
    `{"kind": "note", "labels": ["a", "b"], "n": ${index}}`,
  ]);
}

/** The synced object, as a program that has the values already would write it. */
function plainRow(raw: RawRow): object {
  const [id, owner, title, position, , price, created, tags] = raw;
  return { id, owner, title, position: Number(position), done: 0, price: Number(price), created, tags };
}

type EachRow = (index: number) => void;

interface Turn {
  readonly userSeconds: number;
  readonly seconds: number;
}

function turn(rows: number, each: EachRow): Turn {
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (let index = 0; index < rows; index++) each(index % ROWS_APART);
  return { userSeconds: process.cpuUsage(cpu).user / 1e6, seconds: (performance.now() - start) / 1000 };
}

let consumed = 0;

/** Makes one piece of a text that was put together: whoever stores or sends it has to. */
function consume(text: string): void {
  consumed += text.charCodeAt(text.length >> 1);
}

function evaluation(yaml: string, rows: readonly RawRow[]): EachRow {
  const { rules, diagnostics } = parseSyncRules(yaml, { defaultSchema: 'public', bucketPrefix: '1#' });
  const evaluator = rules?.compileTable(TABLE);
  if (!evaluator) throw new Error(JSON.stringify(diagnostics));
  const sink: RowSink = {
    data: (bucket, _type, id, json) => {
      consume(bucket);
      consume(id);
      consume(json);
    },
    lookup: consume,
    error: (definition, message) => {
      throw new Error(`${definition}: ${message}`);
    },
  };
  return (index) => evaluator.evaluate(rows[index] ?? [], sink);
}

export async function benchEvaluate({ rows }: BenchOptions): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const raw = rawRows();
  const plain = raw.map(plainRow);
  const stringify: EachRow = (index) => consume(JSON.stringify(plain[index]));
  for (const { what, yaml, promised } of DOCUMENTS) {
    const ours = evaluation(yaml, raw);
    const turns: { ours: Turn; limit: Turn }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      turns.push({ ours: turn(rows, ours), limit: turn(rows, stringify) });
    }
    const limit = figure(
      'JSON.stringify of the row',
      rows,
      turns.map((each) => each.limit),
    );
    report.compare(
      report.add(
        figure(
          what,
          rows,
          turns.map((each) => each.ours),
        ),
      ),
      report.add(limit),
      promised,
    );
  }
  if (consumed === 0) throw new Error('nothing was evaluated');
  return report;
}

function figure(what: string, rows: number, turns: readonly Turn[]): Figure {
  const median = turns.toSorted((a, b) => a.userSeconds - b.userSeconds)[turns.length >> 1];
  const { userSeconds, seconds } = median ?? { userSeconds: Number.NaN, seconds: Number.NaN };
  const detail = { 'rows/s by the clock': rows / seconds, turns: turns.length };
  return { what, unit: 'rows/s of user CPU', rate: rows / userSeconds, seconds: userSeconds, detail };
}

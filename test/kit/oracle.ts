/**
 * What a user must have, said by the source itself in SQL: for each data query of `rules.ts` a hand-written SELECT that
 * gives object type, id and the very JSON text that the client must hold. Nothing of the product's evaluator is used.
 */
import type { Client } from 'pg';
import type { TestUser } from './rules.ts';

/** JSON text of each row: `rows.get(type).get(id)`. */
export type Rows = ReadonlyMap<string, ReadonlyMap<string, string>>;

const text = (sql: string) => `coalesce(to_json((${sql})::text)::text, 'null')`;
const integer = (sql: string) => `coalesce((${sql})::text, 'null')`;
const flag = (sql: string) => `coalesce((${sql})::int::text, 'null')`;
/** A real with a whole value keeps its point. */
const real = (sql: string) =>
  `coalesce((${sql})::text || CASE WHEN (${sql}) = trunc(${sql}) THEN '.0' ELSE '' END, 'null')`;
const instant = (sql: string) => text(`replace((${sql})::text, '+00', 'Z')`);
const json = (sql: string) => text(`(${sql})::text`);
const array = (sql: string) => text(`to_json(${sql})`);

interface Expected {
  readonly type: string;
  readonly id: string;
  readonly columns: Readonly<Record<string, string>>;
  /** FROM and WHERE; `$1` is the user id, `$2` the region claim. */
  readonly from: string;
}

const MY_ORGS = 'org_id IN (SELECT m.org_id FROM memberships m WHERE m.user_id = $1)';

const expected: readonly Expected[] = [
  {
    type: 'orgs',
    id: 'id',
    columns: { id: text('id'), name: text('name'), plan: text('plan') },
    from: 'orgs',
  },
  { type: 'ticker', id: 'id', columns: { id: text('id'), n: integer('n') }, from: 'ticker' },
  {
    type: 'notes',
    id: 'id',
    columns: {
      id: text('id'),
      owner_id: text('owner_id'),
      org_id: integer('org_id'),
      title: text('title'),
      body: text('body'),
      starred: flag('starred'),
      updated_at: instant('updated_at'),
    },
    from: 'notes WHERE owner_id = $1',
  },
  {
    type: 'tasks',
    id: 'id',
    columns: {
      id: text('id'),
      title: text('title'),
      status: text('status'),
      urgent: flag('urgent'),
      priority: integer('priority'),
      due: text('due'),
      estimate: text('estimate'),
    },
    from: "tasks WHERE owner_id = $1 AND status = 'open'",
  },
  {
    type: 'settings',
    id: 'id',
    columns: {
      id: text('id'),
      owner_id: text('owner_id'),
      key: text('key'),
      value: json('value'),
      flags: array('flags'),
    },
    from: 'settings WHERE owner_id = $1',
  },
  {
    type: 'users',
    id: 'id',
    columns: { id: text('id'), name: text('name'), email: text('email') },
    from: 'users WHERE id = $1',
  },
  {
    type: 'memberships',
    id: 'id',
    columns: { id: text('id'), user_id: text('user_id'), role: text('role') },
    from: `memberships WHERE ${MY_ORGS}`,
  },
  {
    type: 'projects',
    id: 'id',
    columns: {
      id: text('id'),
      name: text('name'),
      meta: json('meta'),
      budget: text('budget'),
      begun: text('started_at'),
    },
    from: `projects WHERE ${MY_ORGS}`,
  },
  {
    type: 'events',
    id: 'id',
    columns: {
      id: text('id'),
      owner_id: text('owner_id'),
      kind: text('kind'),
      payload: json('payload'),
      value: real('value'),
      at: instant('at'),
    },
    from: `events WHERE ${MY_ORGS}`,
  },
  {
    type: 'documents',
    id: 'id',
    columns: {
      id: text('id'),
      org_id: integer('org_id'),
      owner_id: text('owner_id'),
      title: text('title'),
      content: text('content'),
      revision: integer('revision'),
    },
    from: `documents WHERE ${MY_ORGS}`,
  },
  {
    type: 'readings',
    id: 'id',
    columns: { id: text('id'), seq: integer('seq'), reading: real('value'), at: text('at') },
    from: `readings WHERE ${MY_ORGS}`,
  },
  {
    type: 'people',
    id: 'id',
    columns: { id: text('id'), name: text('name'), created_at: instant('created_at') },
    from: 'users WHERE region = $2',
  },
];

function selectOf(rule: Expected): string {
  const members = Object.entries(rule.columns).map(([name, sql]) => `'"${name}":' || ${sql}`);
  const reads = `SELECT (${rule.id})::text AS id, '{' || ${members.join(` || ',' || `)} || '}' AS json FROM ${rule.from}`;
  // Every statement takes both parameters, whether its rule uses them or not.
  return `WITH p AS (SELECT $1::text, $2::text) ${reads}`;
}

/** Everything `user` must have, as the connection sees the tables (see `asOf` in history.ts). */
export async function expectedRows(connection: Client, user: TestUser): Promise<Rows> {
  const all = new Map<string, ReadonlyMap<string, string>>();
  for (const rule of expected) {
    const result = await connection.query(selectOf(rule), [user.sub, user.claims['region'] ?? null]);
    if (result.rows.length === 0) continue;
    all.set(rule.type, new Map(result.rows.map((row) => [row['id'] as string, row['json'] as string])));
  }
  return all;
}

const SHOWN_PER_TABLE = 5;

/** Readable differences, the first few of each table; empty if both are equal byte for byte. */
export function differences(expectedAll: Rows, actualAll: Rows): readonly string[] {
  const lines: string[] = [];
  for (const type of new Set([...expectedAll.keys(), ...actualAll.keys()])) {
    const found = tableDifferences(expectedAll.get(type) ?? new Map(), actualAll.get(type) ?? new Map());
    lines.push(...found.slice(0, SHOWN_PER_TABLE).map((line) => `${type}: ${line}`));
    if (found.length > SHOWN_PER_TABLE) lines.push(`${type}: … ${found.length} differences in all`);
  }
  return lines;
}

function tableDifferences(expectedRows: ReadonlyMap<string, string>, actual: ReadonlyMap<string, string>): string[] {
  const lines: string[] = [];
  for (const [id, want] of expectedRows) {
    const got = actual.get(id);
    if (got === undefined) lines.push(`missing ${id}: ${shortened(want)}`);
    else if (got !== want) lines.push(`different ${id}:\n    want ${shortened(want)}\n    got  ${shortened(got)}`);
  }
  for (const [id, got] of actual) if (!expectedRows.has(id)) lines.push(`extra ${id}: ${shortened(got)}`);
  return lines;
}

function shortened(json: string): string {
  return json.length <= 400 ? json : `${json.slice(0, 400)}… (${json.length} characters)`;
}

export function countRows(rows: Rows): number {
  let count = 0;
  for (const table of rows.values()) count += table.size;
  return count;
}

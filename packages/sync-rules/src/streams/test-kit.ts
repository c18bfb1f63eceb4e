/** For tests: a stream document, rows and a request; what a client with that request sees. */
import type { SyncRequest, SyncRules } from '../api.ts';
import { parseSyncRules } from '../parse.ts';
import type { TypedValue } from '../types/typed-values.ts';

export interface TestRow {
  readonly table: string;
  readonly row: Readonly<Record<string, TypedValue>>;
}

export interface SyncedTestRow {
  readonly bucket: string;
  readonly type: string;
  readonly id: string;
  readonly json: string;
}

/** @throws Error if the document has a fatal diagnostic */
export function rulesOf(yaml: string, bucketPrefix = ''): SyncRules {
  const { rules, diagnostics } = parseSyncRules(yaml, { defaultSchema: 'public', bucketPrefix });
  if (rules === null) throw new Error(diagnostics.map(({ code, text }) => `${code} at ${text}`).join('; '));
  return rules;
}

export function stream(query: string, options = 'auto_subscribe: true'): string {
  const lines = query.replaceAll('\n', '\n        ');
  return `config:\n  edition: 3\nstreams:\n  s:\n    ${options}\n    query: |\n        ${lines}\n`;
}

export function evaluate(rules: SyncRules, rows: readonly TestRow[]) {
  const data: SyncedTestRow[] = [];
  const lookups = new Map<string, string[]>();
  const errors: string[] = [];
  for (const { table, row } of rows) {
    const columns = Object.keys(row).map((name) => ({ name, type: '', typeId: 0 }));
    const evaluator = rules.compileTypedTable({ connectionTag: 'default', schema: 'public', name: table, columns });
    evaluator?.evaluate(Object.values(row), {
      data: (bucket, type, id, json) => data.push({ bucket, type, id, json }),
      lookup: (key, sets) => lookups.set(key, [...(lookups.get(key) ?? []), sets]),
      error: (_, message) => errors.push(message),
    });
  }
  return { data, lookups, errors };
}

export type Lookups = ReadonlyMap<string, readonly string[]>;

export async function resolve(rules: SyncRules, lookups: Lookups, request: Partial<SyncRequest>) {
  const resolution = rules.resolve({
    token: { sub: 'ann' },
    parameters: {},
    subscriptions: [],
    includeDefaults: true,
    ...request,
  });
  const dynamic = await resolution.dynamic?.resolve(async (keys) => keys.map((key) => lookups.get(key) ?? []));
  const errors = [...resolution.streams.flatMap((entry) => entry.errors), ...(dynamic?.errors ?? [])];
  return { buckets: dynamic?.buckets ?? resolution.staticBuckets, asked: dynamic?.lookups ?? [], errors };
}

/** Names of the buckets a request has, sorted. */
export async function bucketNames(yaml: string, rows: readonly TestRow[], request: Partial<SyncRequest> = {}) {
  const rules = rulesOf(yaml);
  const { buckets } = await resolve(rules, evaluate(rules, rows).lookups, request);
  return buckets.map(({ bucket }) => bucket).sort();
}

/** Ids of the rows a request sees, sorted. */
export async function visibleIds(yaml: string, rows: readonly TestRow[], request: Partial<SyncRequest> = {}) {
  const rules = rulesOf(yaml);
  const { data, lookups } = evaluate(rules, rows);
  const { buckets } = await resolve(rules, lookups, request);
  const names = new Set(buckets.map(({ bucket }) => bucket));
  return [...new Set(data.filter(({ bucket }) => names.has(bucket)).map(({ id }) => id))].sort();
}

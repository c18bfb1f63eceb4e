/** Compares what a case expects with what running it gave. */
import { isDeepStrictEqual } from 'node:util';
import { bucketOrders } from './bucket-orders.ts';
import type { ExpectedBucket, ExpectedDiagnostic, RulesCase } from './rules-case-file.ts';
import { type CaseResult, runCase } from './rules-run.ts';

export interface Verdict {
  readonly name: string;
  readonly quirk: RulesCase['quirk'];
  /** Empty: passed. */
  readonly differences: readonly Difference[];
}

export interface Difference {
  readonly what: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

export async function judgeCase(rulesCase: RulesCase): Promise<Verdict> {
  const { name, quirk } = rulesCase;
  try {
    return { name, quirk, differences: differencesOf(rulesCase, await runCase(rulesCase)) };
  } catch (error) {
    const actual = error instanceof Error ? error.stack : String(error);
    return { name, quirk, differences: [{ what: 'threw', expected: null, actual }] };
  }
}

function differencesOf(rulesCase: RulesCase, { diagnostics, run }: CaseResult): readonly Difference[] {
  if (rulesCase.expected_prepare_failure) return compare('deployable', false, run !== null);
  const differences = compareDiagnostics(rulesCase.expected_diagnostics, diagnostics);
  differences.push(...compare('deployable', !rulesCase.expected_error, run !== null));
  if (run === null || rulesCase.expected_error) return differences;
  const orders = rulesCase.bucket_parameter_order_arbitrary
    ? bucketOrders(expectedBucketNames(rulesCase), [
        ...run.dataRows.map(({ bucket }) => bucket),
        ...(run.request?.all.map(({ bucket }) => bucket) ?? []),
      ])
    : [(bucket: string) => bucket];
  const attempts = orders.map((order) => compareRun(rulesCase, run, order));
  attempts.sort((a, b) => a.length - b.length);
  return [...differences, ...(attempts[0] ?? [])];
}

function expectedBucketNames(rulesCase: RulesCase): readonly string[] {
  const { expected_data_rows = [], expected_buckets } = rulesCase;
  const requested = expected_buckets === undefined ? [] : [...expected_buckets.static, ...expected_buckets.dynamic];
  return [...expected_data_rows, ...requested].map(({ bucket }) => bucket);
}

type Run = NonNullable<CaseResult['run']>;
type BucketOrder = (bucket: string) => string;

function compareRun(rulesCase: RulesCase, run: Run, order: BucketOrder): Difference[] {
  const differences: Difference[] = [];
  const lookups = new LookupComparison(run.streamNames);
  const { expected_source_tables, expected_data_rows, expected_lookups, expected_row_error_count } = rulesCase;
  if (expected_source_tables !== undefined) {
    differences.push(...compare('source tables', sorted(expected_source_tables), sorted(run.sourceTables)));
  }
  if (expected_data_rows !== undefined) {
    const actual = run.dataRows.map((row) => ({ ...row, bucket: order(row.bucket) }));
    differences.push(...compare('data rows', sorted(expected_data_rows), sorted(actual)));
  }
  if (expected_lookups !== undefined) {
    const keysOnly = expected_lookups.some(({ parameter_sets_json }) => parameter_sets_json.includes('{"result":'));
    const expected = expected_lookups.map(({ lookup_json, parameter_sets_json }) =>
      keysOnly ? lookups.key(lookup_json) : lookups.lookup(lookup_json, parameter_sets_json),
    );
    const actual = run.lookups.map(({ key, parameterSets }) =>
      keysOnly ? lookups.key(key) : lookups.lookup(key, parameterSets),
    );
    differences.push(...compare('lookups', sorted(expected), sorted(actual)));
  }
  if (expected_row_error_count !== undefined) {
    differences.push(...compare('row errors', expected_row_error_count, run.rowErrors));
  }
  return [...differences, ...compareRequest(rulesCase, run, order)];
}

function compareRequest(rulesCase: RulesCase, { request: actual, streamNames }: Run, order: BucketOrder): Difference[] {
  const expected = rulesCase.expected_buckets;
  const lookups = new LookupComparison(streamNames);
  if (actual === null) return [];
  if (rulesCase.expected_request_failure) return compare('request failure', true, actual.errors > 0);
  if (expected === undefined) return [];
  const own = (buckets: readonly ExpectedBucket[]) => buckets.map((item) => ({ ...item, bucket: order(item.bucket) }));
  return [
    ...compare('static buckets', merged(expected.static), merged(own(actual.static))),
    ...compare('all buckets', merged([...expected.static, ...expected.dynamic]), merged(own(actual.all))),
    ...compare(
      'lookups requested',
      sorted(expected.lookups_requested.map((key) => lookups.key(key))),
      sorted(actual.lookupsRequested.map((key) => lookups.key(key))),
    ),
    ...compare('request errors', expected.stream_error_count, actual.errors),
  ];
}

/** By bucket: least priority, reasons without repetition; a bucket of two definitions has no name. */
function merged(buckets: readonly ExpectedBucket[]): readonly string[] {
  const byName = new Map<string, ExpectedBucket[]>();
  for (const bucket of buckets) byName.set(bucket.bucket, [...(byName.get(bucket.bucket) ?? []), bucket]);
  const entries = [...byName].map(([bucket, found]) => ({
    bucket,
    priority: Math.min(...found.map(({ priority }) => priority)),
    reasons: sorted(found.flatMap(({ reasons }) => reasons)),
  }));
  return sorted(entries);
}

/**
 * Lookup keys of streams begin with internal names, `["lookup","0",…]` in the cases (in edition 2 with the stream's own);
 * only what follows is compared, in any order. The names of outputs are internal too, and edition 2 stores some outputs
 * that we do not need.
 */
class LookupComparison {
  readonly #heads: ReadonlySet<string>;

  constructor(streamNames: readonly string[]) {
    this.#heads = new Set(['lookup', 'stream', ...streamNames]);
  }

  lookup(key: string, parameterSets: string): unknown {
    if (!this.#isInternal(key)) return { key, parameterSets };
    const sets = JSON.parse(parameterSets) as readonly Readonly<Record<string, unknown>>[];
    return { key: this.key(key), sets: sets.map((set) => sorted(Object.values(set))) };
  }

  key(key: string): unknown {
    return this.#isInternal(key) ? sorted((JSON.parse(key) as readonly unknown[]).slice(2)) : key;
  }

  #isInternal(key: string): boolean {
    return this.#heads.has(String((JSON.parse(key) as readonly unknown[])[0]));
  }
}

/** Where a case does not know the place, one problem may have been reported several times; how often does not matter. */
function compareDiagnostics(expected: readonly ExpectedDiagnostic[], actual: CaseResult['diagnostics']): Difference[] {
  let found = [...actual];
  const missing: ExpectedDiagnostic[] = [];
  for (const diagnostic of expected.filter((one) => one.position_unknown !== true)) {
    const { type, start, end } = diagnostic;
    const index = found.findIndex((one) => one.severity === type && one.start === start && one.end === end);
    if (index === -1) missing.push(diagnostic);
    else found.splice(index, 1);
  }
  const unknown = expected.filter((one) => one.position_unknown === true);
  missing.push(...unknown.filter(({ type }) => !found.some(({ severity }) => severity === type)));
  found = found.filter(({ severity }) => !unknown.some(({ type }) => type === severity));
  return missing.length + found.length === 0 ? [] : [{ what: 'diagnostics', expected: missing, actual: found }];
}

function compare(what: string, expected: unknown, actual: unknown): Difference[] {
  return isDeepStrictEqual(expected, actual) ? [] : [{ what, expected, actual }];
}

/**
 * Canonical texts in order, each once: what is emitted twice is stored once. Members of objects are put in order too.
 */
function sorted(items: Iterable<unknown>): readonly string[] {
  const texts = [...items].map((item) => (typeof item === 'string' ? item : JSON.stringify(item, memberOrder(item))));
  return [...new Set(texts)].sort();
}

function memberOrder(item: unknown): string[] | null {
  return typeof item === 'object' && item !== null && !Array.isArray(item) ? Object.keys(item).sort() : null;
}

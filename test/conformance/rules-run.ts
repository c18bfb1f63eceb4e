/** Runs one case: parses its rules, evaluates its rows, resolves its request. Judges nothing. */
import {
  type Diagnostic,
  parseSyncRules,
  type ResolvedBucket,
  type RowSink,
  type SyncRequest,
  type SyncRules,
  type TypedValue,
} from '@sluice/sync-rules';
import {
  type ExpectedBucket,
  type RequestInCase,
  type RowInCase,
  type RulesCase,
  type SchemaInCase,
  typedValue,
} from './rules-case-file.ts';

export interface CaseResult {
  readonly diagnostics: readonly Diagnostic[];
  /** Null if the rules are not deployable. */
  readonly run: {
    readonly streamNames: readonly string[];
    readonly sourceTables: readonly string[];
    readonly dataRows: readonly { bucket: string; table: string; id: string; data_json: string }[];
    readonly lookups: readonly { key: string; parameterSets: string }[];
    readonly rowErrors: number;
    readonly request: RequestResult | null;
  } | null;
}

export interface RequestResult {
  readonly static: readonly ExpectedBucket[];
  /** Static and dynamic together. */
  readonly all: readonly ExpectedBucket[];
  readonly lookupsRequested: readonly string[];
  readonly errors: number;
}

export async function runCase(rulesCase: RulesCase): Promise<CaseResult> {
  const { diagnostics, rules } = parseSyncRules(rulesCase.yaml, {
    defaultSchema: rulesCase.default_schema,
    ...(rulesCase.bucket_version === undefined ? {} : { bucketPrefix: `${rulesCase.bucket_version}#` }),
    ...(rulesCase.schema === undefined ? {} : { schema: sourceSchema(rulesCase.schema) }),
  });
  if (rules === null) return { diagnostics, run: null };
  const rows = evaluateRows(rules, rulesCase.rows ?? [], rulesCase.default_schema);
  const request = rulesCase.request === undefined ? null : await resolveRequest(rules, rulesCase.request, rows.lookups);
  const sourceTables = rules.tablePatterns.map(
    ({ connectionTag, schema, name, wildcard }) => `${connectionTag}.${schema}.${name}${wildcard ? '%' : ''}`,
  );
  const streamNames = rules.definitions.filter(({ kind }) => kind === 'stream').map(({ name }) => name);
  return { diagnostics, run: { streamNames, sourceTables, ...rows, request } };
}

function sourceSchema(schemas: readonly SchemaInCase[]) {
  return {
    tables: schemas.flatMap((schema) =>
      schema.tables.map(({ name, columns }) => ({
        schema: schema.name,
        name,
        columns: columns.map((column) => ({ name: column.name, type: column.sqlite_type })),
      })),
    ),
  };
}

/** Every row is a table of its own: rows of a case need not have the same columns. */
function evaluateRows(rules: SyncRules, rows: readonly RowInCase[], defaultSchema: string) {
  const dataRows: { bucket: string; table: string; id: string; data_json: string }[] = [];
  const lookups: { key: string; parameterSets: string }[] = [];
  let rowErrors = 0;
  const sink: RowSink = {
    data: (bucket, table, id, json) => dataRows.push({ bucket, table, id, data_json: json }),
    lookup: (key, parameterSets) => lookups.push({ key, parameterSets }),
    error: () => rowErrors++,
  };
  for (const { table, schema, connection_tag, row } of rows) {
    const shape = {
      connectionTag: connection_tag ?? 'default',
      schema: schema ?? defaultSchema,
      name: table,
      columns: Object.keys(row).map((name) => ({ name, type: '', typeId: 0 })),
    };
    const cells: TypedValue[] = Object.values(row).map(typedValue);
    // What the outputs are said not to depend on is something else, so that it shows if they do.
    const reads = rules.compileTable(shape)?.reads ?? [...cells.keys()];
    const read = cells.map((cell, column) => (reads.includes(column) ? cell : 'not read'));
    rules.compileTypedTable(shape)?.evaluate(read, sink);
  }
  return { dataRows, lookups, rowErrors };
}

async function resolveRequest(
  rules: SyncRules,
  request: RequestInCase,
  lookups: readonly { key: string; parameterSets: string }[],
): Promise<RequestResult> {
  const subscriptions = request.streams ?? [];
  const syncRequest: SyncRequest = {
    token: request.token,
    parameters: request.parameters,
    subscriptions: subscriptions.map(({ stream, parameters, priority }) => ({
      stream,
      parameters,
      overridePriority: priority ?? null,
    })),
    includeDefaults: request.default_streams ?? true,
  };
  const resolution = rules.resolve(syncRequest);
  const dynamic = await resolution.dynamic?.resolve(async (keys) =>
    keys.map((key) => lookups.filter((lookup) => lookup.key === key).map(({ parameterSets }) => parameterSets)),
  );
  const withIds = (bucket: ResolvedBucket): ExpectedBucket => ({
    ...bucket,
    reasons: bucket.reasons.map((reason) =>
      'default' in reason ? ('default' as const) : { subscription: subscriptions[reason.subscription]?.id ?? -1 },
    ),
  });
  const staticErrors = resolution.streams.reduce((sum, { errors }) => sum + errors.length, 0);
  return {
    static: resolution.staticBuckets.map(withIds),
    all: (dynamic?.buckets ?? resolution.staticBuckets).map(withIds),
    lookupsRequested: dynamic?.lookups ?? [],
    errors: staticErrors + (dynamic?.errors.length ?? 0),
  };
}

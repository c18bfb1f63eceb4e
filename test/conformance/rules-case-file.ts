/** The format of a file of measured sync rules cases: what is in it, and how its tagged values are read. */
import { readFileSync } from 'node:fs';
import { TimeValue, type TypedValue } from '@sluice/sync-rules';

export interface RulesCase {
  readonly name: string;
  readonly group: string;
  readonly yaml: string;
  readonly default_schema: string;
  readonly schema?: readonly SchemaInCase[];
  readonly bucket_version?: number;
  readonly rows?: readonly RowInCase[];
  readonly request?: RequestInCase;
  /** `may_fix`: we may differ on purpose. */
  readonly quirk?: 'may_fix' | 'keep';
  readonly bucket_parameter_order_arbitrary?: boolean;
  readonly expected_diagnostics: readonly ExpectedDiagnostic[];
  readonly expected_error: boolean;
  readonly expected_source_tables?: readonly string[];
  readonly expected_data_rows?: readonly ExpectedDataRow[];
  readonly expected_lookups?: readonly { readonly lookup_json: string; readonly parameter_sets_json: string }[];
  readonly expected_row_error_count?: number;
  readonly expected_buckets?: ExpectedBuckets;
  readonly expected_request_failure?: boolean;
  readonly expected_prepare_failure?: boolean;
}

export interface SchemaInCase {
  readonly name: string;
  readonly tables: readonly {
    readonly name: string;
    readonly columns: readonly { readonly name: string; readonly sqlite_type: string }[];
  }[];
}

export interface RowInCase {
  readonly table: string;
  readonly schema?: string;
  readonly connection_tag?: string;
  readonly row: Readonly<Record<string, unknown>>;
}

export interface RequestInCase {
  readonly token: Readonly<Record<string, unknown>>;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly streams?: readonly {
    readonly stream: string;
    readonly parameters: Readonly<Record<string, unknown>> | null;
    readonly id: number;
    readonly priority?: number;
  }[];
  readonly default_streams?: boolean;
}

export interface ExpectedDiagnostic {
  readonly type: 'fatal' | 'warning';
  readonly start: number;
  readonly end: number;
  readonly text?: string;
  readonly position_unknown?: boolean;
}

export interface ExpectedDataRow {
  readonly bucket: string;
  readonly table: string;
  readonly id: string;
  readonly data_json: string;
}

export interface ExpectedBucket {
  readonly bucket: string;
  readonly priority: number;
  readonly definition: string;
  readonly reasons: readonly ('default' | { readonly subscription: number })[];
}

export interface ExpectedBuckets {
  readonly static: readonly ExpectedBucket[];
  readonly dynamic: readonly ExpectedBucket[];
  readonly lookups_requested: readonly string[];
  readonly stream_error_count: number;
}

export function readRulesCases(path: string): readonly RulesCase[] {
  return JSON.parse(readFileSync(path, 'utf8')) as readonly RulesCase[];
}

const DIGITS: Readonly<Record<string, number>> = { seconds: 0, milliseconds: 3, microseconds: 6, nanoseconds: 9 };

/** A value of a row: plain JSON, or an object with one tag such as `$real`. */
export function typedValue(json: unknown): TypedValue {
  if (typeof json === 'number') return BigInt(json);
  if (typeof json !== 'object' || json === null) return json as TypedValue;
  const tagged = json as Readonly<Record<string, unknown>>;
  if ('$real' in tagged) return Number(tagged['$real']);
  if ('$int' in tagged) return BigInt(tagged['$int'] as string);
  if ('$bool' in tagged) return tagged['$bool'] as boolean;
  if ('$blob' in tagged) return new Uint8Array(Buffer.from(tagged['$blob'] as string, 'hex'));
  if ('$array' in tagged) return (tagged['$array'] as readonly unknown[]).map(typedValue);
  if ('$object' in tagged) return objectValue(tagged['$object'] as object);
  return timeValue(tagged);
}

function objectValue(object: object): TypedValue {
  return Object.fromEntries(Object.entries(object).map(([key, member]) => [key, typedValue(member)]));
}

function timeValue(tagged: Readonly<Record<string, unknown>>): TimeValue {
  const kind = '$datetime' in tagged ? 'datetime' : 'time';
  const max = DIGITS[tagged['precision'] as string];
  if (max === undefined) throw new Error(`unknown value in case: ${JSON.stringify(tagged)}`);
  return new TimeValue(tagged[`$${kind}`] as string, {
    kind,
    legacy: (tagged['legacy'] as string | undefined) ?? null,
    digits: { max, default: DIGITS[tagged['default_precision'] as string] ?? max },
  });
}

/** How one source type becomes values. Chosen once a column; used once a row. */
import type { Compatibility, TimestampPrecision } from '../compatibility.ts';
import type { JsonValue } from '../json.ts';
import type { Value } from '../value.ts';

/** The options of a sync rules file that change what values look like. */
export interface TypeOptions {
  /** `T` between date and time, fractions of fixed length. */
  readonly timestampsIso8601: boolean;
  /** Domains, composites, ranges and arrays of them are decoded, not passed on as text. */
  readonly customPostgresTypes: boolean;
  /** Digits behind the second at most, with `timestampsIso8601`; null for as many as the source has. */
  readonly timestampDigitsMax: number | null;
}

/** Digits behind the second. */
const timestampDigits: Readonly<Record<TimestampPrecision, number>> = {
  seconds: 0,
  milliseconds: 3,
  microseconds: 6,
  nanoseconds: 9,
};

export function typeOptions(compatibility: Compatibility): TypeOptions {
  const { timestampsIso8601, customPostgresTypes, timestampMaxPrecision } = compatibility;
  const timestampDigitsMax = timestampMaxPrecision === null ? null : timestampDigits[timestampMaxPrecision];
  return { timestampsIso8601, customPostgresTypes, timestampDigitsMax };
}

export interface SourceType {
  /** The value of one column. @throws EvaluationError for text its type cannot have */
  readonly read: (raw: string) => Value;
  /** `valueJson(read(raw))`, without the way over a value where there is a shorter one. */
  readonly json: (raw: string) => string | undefined;
  /** The value inside the JSON text of an array or an object. */
  readonly element: (raw: string) => JsonElement;
}

/** A JSON value, or JSON text that is taken over as it is. */
export type JsonElement = { readonly value: JsonValue } | { readonly text: string };

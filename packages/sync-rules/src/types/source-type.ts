/** How one source type becomes values. Chosen once a column; used once a row. */
import type { ByteSpace } from '@sluice/core';
import type { JsonForm } from '../synced-bytes.ts';
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
  /** Whether `read` gives the text itself, or a number that is written just so. */
  readonly isOwnText?: true;
  /** What `json` does, if it can be done from bytes to bytes; absent where the text must be read first. */
  readonly bytes?: JsonForm;
  /** The value inside the JSON text of an array or an object. */
  readonly element: (raw: string) => JsonElement;
}

/**
 * Writes the JSON of the text at `from` to `to`; there is room for six bytes a byte, and `BYTES_WRITER_ROOM`.
 * @returns the end of what was written at `at`; `NOT_WRITTEN` for texts that take the long way, which fits there, too
 */
export type BytesWriter = (source: ByteSpace, from: number, to: number, target: ByteSpace, at: number) => number;

export const NOT_WRITTEN = -1;
export const BYTES_WRITER_ROOM = 64;

/** A JSON value, or JSON text that is taken over as it is. */
export type JsonElement = { readonly value: JsonValue } | { readonly text: string };

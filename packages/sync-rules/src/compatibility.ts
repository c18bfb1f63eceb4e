/** The options of `config:` that change results, each with its effective value. */
import type { JsonMode } from './json-path.ts';

export type Edition = 1 | 2 | 3;

export const timestampPrecisions = ['seconds', 'milliseconds', 'microseconds', 'nanoseconds'] as const;

export type TimestampPrecision = (typeof timestampPrecisions)[number];

export interface Compatibility {
  readonly edition: Edition;
  readonly timestampsIso8601: boolean;
  /** Null: what the source has. */
  readonly timestampMaxPrecision: TimestampPrecision | null;
  readonly versionedBucketIds: boolean;
  readonly fixedJsonExtract: boolean;
  readonly customPostgresTypes: boolean;
}

/** What an edition means where `config:` says nothing else. */
export function editionDefaults(edition: Edition): Compatibility {
  const fixes = edition >= 2;
  return {
    edition,
    timestampsIso8601: fixes,
    timestampMaxPrecision: null,
    versionedBucketIds: fixes,
    fixedJsonExtract: fixes,
    customPostgresTypes: fixes,
  };
}

export function jsonMode(compatibility: Compatibility): JsonMode {
  return compatibility.fixedJsonExtract ? 'fixed' : 'legacy';
}

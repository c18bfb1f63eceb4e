/**
 * What is remembered of a source row: the buckets and lookups it is in, and its raw values (to fill unchanged TOAST
 * columns, to see that nothing changed, and to build new definitions without the source). Opaque bytes to adapters:
 *
 *     u8 version/flags | str read-ahead position (if flagged) | varint history (if flagged, else 1) | varint n, n * (str bucket, str type, str id) | varint m, m * str lookup | varint v, v * value
 *     str = varint length + UTF-8        value = varint 0 (null) | 1 (not known) | length + 2, UTF-8
 */
import type { Position, RawRow } from '@sluice/core';

export const VERSION = 0x10;
export const PARTIAL = 0x01;
export const COPIED = 0x02;
export const READ_AHEAD = 0x04;
export const LATER_HISTORY = 0x08;
export const FIRST_HISTORY = 1;

export interface Membership {
  readonly bucket: string;
  readonly objectType: string;
  readonly objectId: string;
}

export interface SourceRecord {
  /** Some values are not known yet: the row must be completed before it may be published. */
  readonly partial: boolean;
  /**
   * Set while some values were read (copied, or re-read) and not streamed: they may be newer than what the stream has
   * said, even of another row that came to the key since. `copy`: read by the table's copy, so behind its end; else read
   * before that position. Null once all values came through the stream, or the stream has passed the read.
   */
  readonly readAhead: Position | null;
  /** The table's history in which the record was last confirmed. */
  readonly history: number;
  readonly memberships: readonly Membership[];
  readonly lookups: readonly string[];
  readonly values: RawRow;
}

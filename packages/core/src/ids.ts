/**
 * Identifiers that cross package borders. All are plain numbers or strings at run time.
 *
 * Op ids are JavaScript numbers, not bigints: the hot paths add, compare and encode them per row. They are exact up to
 * 2^53 - 1, which one million ops a second would reach after 285 years; storage refuses to go further.
 */

/** Global order of ops inside one replication stream: 1, 2, 3, … in commit order. 0 means "before the first op". */
export type OpId = number;

/** A replication stream: one source, one slot, one op-id order. Never reused inside one storage. */
export type StreamId = number;

/** One incarnation of a source table inside a stream. A re-created or re-identified table gets a new id. */
export type TableId = number;

/** Name of a bucket as clients see it, for example `1#mine["ann"]`. Opaque outside `sync-rules`. */
export type BucketName = string;

/** Identity of a source row inside its table; see `record-key.ts`. */
export type RecordKey = string;

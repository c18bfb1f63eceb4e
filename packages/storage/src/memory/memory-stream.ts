/** Everything that the in-memory adapter keeps of one stream. Plain maps and arrays; nothing clever. */
import type { BucketName, OpId, RecordKey, StreamId, TableId } from '@sluice/core';
import type { StreamInfo } from '../bucket-storage.ts';
import { type CheckpointState, initialCheckpointState } from '../checkpoint-state.ts';
import { initialSnapshotControl, type SnapshotControl } from '../snapshot-control.ts';
import type { TableState, TaskState } from '../table-state.ts';

export interface StoredOp {
  readonly id: OpId;
  readonly bucket: BucketName;
  readonly checksum: number;
  readonly body: Uint8Array;
}

export interface StoredLookup {
  readonly id: OpId;
  readonly key: string;
  /** Table and record key of the source row that the entry belongs to. */
  readonly row: string;
  readonly value: string;
}

export type StoredRecord =
  | { readonly kind: 'live'; readonly bytes: Uint8Array; readonly partial: boolean }
  | { readonly kind: 'tombstone' };

export interface MemoryStream {
  info: StreamInfo;
  state: CheckpointState;
  /** Fencing token: rises whenever a writer is opened. */
  token: number;
  writerOpen: boolean;
  /** Writers that are alive, and how many there have been for copies alone. */
  readonly claimants: Set<string>;
  copyWriters: number;
  control: SnapshotControl;
  nextTableId: TableId;
  readonly tables: Map<TableId, TableState>;
  tasks: TaskState[];
  readonly records: Map<TableId, Map<RecordKey, StoredRecord>>;
  readonly ops: StoredOp[];
  readonly lookups: StoredLookup[];
}

export function newMemoryStream(id: StreamId, rules: string, createdAtMs: number): MemoryStream {
  return {
    info: { id, lifecycle: 'processing', rules, createdAtMs, error: null, source: null },
    state: initialCheckpointState,
    token: 0,
    writerOpen: false,
    claimants: new Set(),
    copyWriters: 0,
    control: initialSnapshotControl,
    nextTableId: 1,
    tables: new Map(),
    tasks: [],
    records: new Map(),
    ops: [],
    lookups: [],
  };
}

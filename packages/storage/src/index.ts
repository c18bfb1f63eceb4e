export type {
  BucketChunk,
  BucketRequest,
  BucketStorage,
  BucketSum,
  Changes,
  ReadLimits,
  StreamInfo,
  StreamLifecycle,
  StreamReader,
} from './bucket-storage.ts';
export {
  advance,
  type CheckpointEvent,
  type CheckpointState,
  closedGate,
  commit,
  type CommitOutcome,
  type Gate,
  initialCheckpointState,
} from './checkpoint-state.ts';
export { createMemoryStorage, type MemoryStorage } from './memory/memory-storage.ts';
export {
  initialSnapshotControl,
  type SnapshotControl,
  snapshotControlAfter,
  type SnapshotControlChange,
  tableControl,
  type TableControl,
  type TableHold,
} from './snapshot-control.ts';
export { decodeRecord, encodeRecord, type Membership, type SourceRecord } from './source-record.ts';
export {
  type ChunkGuard,
  copyDone,
  copyRequired,
  guardHolds,
  type JsonValue,
  needsTombstones,
  newTable,
  newTask,
  type PlannedRange,
  type TablePlan,
  tablePlanned,
  type TableState,
  taskAfter,
  type TaskProgress,
  type TaskSplit,
  taskSplit,
  type TaskState,
} from './table-state.ts';
export type {
  Effect,
  EraseRows,
  Evaluate,
  FlushResult,
  LookupDraft,
  RowWrite,
  SnapshotFlush,
  StreamFlush,
  StreamWriter,
} from './writer.ts';

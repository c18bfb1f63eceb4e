export { OpTaking, ReadRoom } from './adapter/op-taking.ts';
export { type Lane, Serial } from './adapter/serial.ts';
export { inSlices, inTurns } from './adapter/slices.ts';
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
  WriteCheckpoint,
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
export { configuredAfter, type ConfiguredRules } from './configured-rules.ts';
export type { ComparedRows, CopyWriter, SnapshotFlush } from './copy-writer.ts';
export type { Effect, LookupDraft } from './effect.ts';
export type { FlushResult } from './flush-result.ts';
export { createMemoryStorage, type MemoryStorage } from './memory/memory-storage.ts';
export { requireNewest } from './newest-stream.ts';
export {
  holdOf,
  initialSnapshotControl,
  type SnapshotControl,
  snapshotControlAfter,
  type SnapshotControlChange,
  tableControl,
  type TableControl,
  type TableHold,
} from './snapshot-control.ts';
export { countOps, eachOp, OP_ENTRY_BYTES, OpRun, OpSlice, packOps, putOpEntry } from './op-run.ts';
export { PackedRows } from './packed-rows.ts';
export { type Item, itemOf, type Places } from './places.ts';
export { type MemoryPlace, ReadMemory } from './read-memory.ts';
export type { Membership, SourceRecord } from './record-format.ts';
export { copiedRecordFrame, RecordSlab } from './record-slab.ts';
export { keyEnd, keyOf, packSlot, PARTIAL, SLOT_HEAD_BYTES, TOMBSTONE } from './record-slot.ts';
export { decodeRecord, encodeRecord, historyOf } from './source-record.ts';
export type { Evaluate, RowWrite } from './row-write.ts';
export {
  afterCopy,
  BEFORE_CLAIMS,
  type ChunkGuard,
  claimedByLiving,
  copyDone,
  copyRequired,
  guardHolds,
  holdsCheckpoints,
  historyLost,
  isRead,
  type JsonValue,
  mayWrite,
  needsTombstones,
  newTable,
  newTask,
  notCopied,
  type PlannedRange,
  type TablePlan,
  tablePlanned,
  rowsPublished,
  type TableState,
  type TableVisibility,
  taskAfter,
  taskClaimed,
  type TaskProgress,
  type TaskRef,
  type TaskSplit,
  taskSplit,
  type TaskState,
  whileCopying,
} from './table-state.ts';
export type {
  EraseRows,
  PlannedTable,
  PublishedRows,
  PublishRows,
  StreamFlush,
  StreamWriter,
  SweepResult,
  SweepRows,
} from './writer.ts';

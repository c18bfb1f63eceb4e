export { READ_OVERSHOOT } from './change-source.ts';
export type {
  ChangeSource,
  DiscoveredTable,
  OpenedSource,
  PlannedTask,
  ReadPlan,
  Reached,
  ReadTask,
  RestartDecision,
  SourceHealth,
  StoredReach,
  TableSelector,
  TaskChunk,
  UnfinishedTask,
} from './change-source.ts';
export type { CopyFacts, SnapshotFacts, StageMs, TableCopyFacts } from './copy/copy-progress.ts';
export { type Duty, type EnginePorts, type EngineStreamFacts, ReplicationEngine } from './engine.ts';
export { erase, evaluate, publish, sweep } from './rows/evaluate.ts';
export { newStreamProgress, type StreamProgress } from './stream/stream-progress.ts';
export { Replicator, type ReplicatorFacts, type ReplicatorPhase, type ReplicatorPorts } from './replicator.ts';
export type { Allowance } from './copy/governor.ts';
export { type CopyThrottle, NO_THROTTLE } from './copy/pace.ts';
export type { RetryFacts } from './copy/retries.ts';
export type { CopyScheduleFacts } from './copy/task-scheduler.ts';
export type { CopierFacts } from './copier.ts';
export type { ChangeWrite } from './rows/row-write.ts';
export type { TableBinding } from './tables/table-binding.ts';
export { missingTables } from './tables/table-problems.ts';
export type { TableProblem } from './tables/table-problems.ts';

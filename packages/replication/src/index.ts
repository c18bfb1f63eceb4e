export type {
  ChangeSource,
  DiscoveredTable,
  OpenedSource,
  PlannedTask,
  ReadPlan,
  ReadTask,
  RestartDecision,
  SourceHealth,
  StoredReach,
  TableSelector,
  TaskChunk,
  UnfinishedTask,
} from './change-source.ts';
export type { CopyFacts, SnapshotFacts, StageMs, TableCopyFacts } from './copy-progress.ts';
export { type EnginePorts, type EngineStreamFacts, ReplicationEngine } from './engine.ts';
export { erase, evaluate, publish, sweep } from './evaluate.ts';
export type { StreamProgress } from './progress.ts';
export { Replicator, type ReplicatorFacts, type ReplicatorPhase, type ReplicatorPorts } from './replicator.ts';
export type { Allowance } from './copy/governor.ts';
export { type CopyThrottle, NO_THROTTLE } from './copy/pace.ts';
export type { RetryFacts } from './copy/retries.ts';
export type { CopyScheduleFacts } from './snapshotter.ts';
export type { ChangeWrite } from './row-write.ts';
export type { TableBinding } from './table-binding.ts';
export { missingTables } from './table-problems.ts';
export type { TableProblem } from './table-problems.ts';

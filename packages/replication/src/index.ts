export type {
  ChangeSource,
  DiscoveredTable,
  OpenedSource,
  PlannedTask,
  ReadTask,
  SourceHealth,
  TableSelector,
  TaskChunk,
} from './change-source.ts';

/** The status document: one JSON snapshot for the operator's page, the command line and scripts. */
import type { Clock, Position, SluiceError } from '@sluice/core';
import type { EngineStreamFacts, ReplicatorFacts } from '@sluice/replication';
import type { BucketStorage, CheckpointState, StreamInfo } from '@sluice/storage';
import { closedGate } from '@sluice/storage';
import type { Role } from '../role.ts';
import type { ClientActivity, ClientConnections } from '../http/client-connections.ts';
import { overallProgress, type Progress, type TableStatus, tableStatus } from './copy.ts';
import { hintOf } from './hint.ts';
import type { Verdict } from './progress-watch.ts';

export interface StatusPorts {
  readonly storage: BucketStorage;
  readonly facts: () => readonly EngineStreamFacts[];
  readonly verdict: () => Verdict;
  readonly notice: () => SluiceError | null;
  readonly connections: ClientConnections;
  readonly clock: Clock;
  readonly version: string;
  readonly role: Role;
  /** `Clock.monotonic` at start. */
  readonly startedAtMs: number;
  /** Distance between two positions of the source, where it can be told. */
  readonly bytesBetween: (from: Position, to: Position) => number | null;
}

export interface StatusDocument {
  readonly service: {
    readonly version: string;
    readonly uptimeSeconds: number;
    readonly role: Role;
    readonly ready: boolean;
    readonly reason: string;
    /** What somebody should look at, though it works. */
    readonly notice: { readonly code: string; readonly message: string; readonly hint: string } | null;
    readonly memory: { readonly rssBytes: number; readonly heapUsedBytes: number };
  };
  readonly streams: readonly StreamStatus[];
  readonly clients: {
    readonly connected: number;
    readonly max: number;
    readonly byActivity: Readonly<Record<ClientActivity, number>>;
    readonly totals: Readonly<ClientConnections['totals']>;
  };
}

export interface StreamStatus {
  readonly id: number;
  readonly lifecycle: StreamInfo['lifecycle'];
  /** `standby`: another process replicates. Null while stopped, or between attempts. */
  readonly phase: ReplicatorFacts['phase'] | 'standby' | null;
  readonly createdAt: string;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
    readonly at: string;
  } | null;
  readonly checkpoint: CheckpointState['checkpoint'];
  readonly gates: {
    readonly snapshot: { readonly open: boolean; readonly waitsFor: string | null };
    readonly boundary: { readonly open: boolean; readonly waitsFor: string | null };
    readonly position: { readonly open: boolean; readonly waitsFor: string | null };
    /** The one that holds the checkpoint back now; null if none does. */
    readonly closed: 'snapshot' | 'boundary' | 'position' | null;
  };
  readonly progress: Progress;
  readonly copy: {
    /** By an operator, for all tables. */
    readonly paused: boolean;
    /** Tasks that may be read at once; null: as configured where it is replicated. */
    readonly concurrency: number | null;
    /** Part of its places and of its time that the copy may use now; null if this process does not copy. */
    readonly share: number | null;
    /** What it yields to: the WAL that the slot may keep, the lag of the stream, the time of its flushes. */
    readonly strain: 'wal' | 'lag' | 'flush' | null;
  };
  readonly tables: readonly TableStatus[];
  readonly problems: readonly {
    readonly table: string;
    readonly code: string;
    readonly message: string;
    readonly hint: string;
  }[];
  readonly positions: {
    readonly sourceHead: Position | null;
    /** Up to where the stream has come in. */
    readonly received: Position | null;
    readonly durable: Position | null;
    readonly acknowledged: Position | null;
    readonly checkpoint: Position | null;
  };
  readonly lag: { readonly bytes: number | null; readonly seconds: number | null };
  readonly slot: {
    readonly status: string;
    readonly active: boolean;
    readonly retainedBytes: number | null;
    readonly budgetBytes: number | null;
    /** `max_slot_wal_keep_size`; null if there is no limit. */
    readonly limitBytes: number | null;
    /** Until the source gives the slot up, as its budget shrinks now; null if it does not shrink. */
    readonly secondsLeft: number | null;
    /** How long the stream could stand still, as the source is written to now; null if it is idle or sets no limit. */
    readonly outageSeconds: number | null;
  } | null;
  /** How the running attempt began, and why so; null between attempts. */
  readonly restart: ReplicatorFacts['restart'];
  /** Which history of the source is followed, as stored: cluster, timeline, database, slot. Null before the first start. */
  readonly lineage: StreamInfo['source'];
  readonly counters: ReplicatorFacts['stream'] | null;
  readonly budget: { readonly usedBytes: number; readonly maxBytes: number } | null;
  readonly rowErrors: number;
}

export async function statusDocument(ports: StatusPorts): Promise<StatusDocument> {
  const { clock, connections } = ports;
  const verdict = ports.verdict();
  const facts = ports.facts();
  const notice = ports.notice();
  const streams = await ports.storage.listStreams();
  const memory = process.memoryUsage();
  return {
    service: {
      version: ports.version,
      uptimeSeconds: Math.round((clock.monotonic() - ports.startedAtMs) / 1000),
      role: ports.role,
      ready: verdict.ready,
      reason: verdict.reason,
      notice: notice === null ? null : { code: notice.code, message: notice.message, hint: notice.hint },
      memory: { rssBytes: memory.rss, heapUsedBytes: memory.heapUsed },
    },
    streams: await Promise.all(
      streams.map((stream) => streamStatus(stream, facts.find((each) => each.streamId === stream.id) ?? null, ports)),
    ),
    clients: {
      connected: connections.size,
      max: connections.max,
      byActivity: connections.byActivity(),
      totals: { ...connections.totals },
    },
  };
}

async function streamStatus(
  stream: StreamInfo,
  facts: EngineStreamFacts | null,
  ports: StatusPorts,
): Promise<StreamStatus> {
  const reader = ports.storage.reader(stream.id);
  const [state, tables, tasks, control] = await Promise.all([
    reader.checkpointState(),
    reader.tables(),
    reader.tasks(),
    reader.snapshotControl(),
  ]);
  const replicator = facts?.replicator ?? null;
  const copying = replicator ?? facts?.copier ?? null;
  const health = copying?.health ?? null;
  const position = state.checkpoint?.position ?? null;
  const schedule = copying?.copy ?? null;
  const copy = { tasks, control, facts: copying?.snapshot ?? null, schedule };
  const tableRows = tables.map((table) => tableStatus(table, copy));
  return {
    id: stream.id,
    lifecycle: stream.lifecycle,
    phase: facts?.error?.code === 'PSYNC_S1003' ? 'standby' : (replicator?.phase ?? null),
    createdAt: new Date(stream.createdAtMs).toISOString(),
    error: errorOf(stream, facts),
    checkpoint: state.checkpoint,
    gates: gates(state, tableRows, replicator),
    copy: {
      paused: control.paused,
      concurrency: schedule?.concurrency ?? control.concurrency,
      share: schedule?.allowance.share ?? null,
      strain: schedule?.allowance.strain ?? null,
    },
    progress: overallProgress(tableRows, copying?.snapshot ?? null),
    tables: tableRows,
    problems: (replicator?.problems ?? []).map((problem) => ({ ...problem, hint: hintOf(problem.code) })),
    positions: {
      sourceHead: health?.head ?? null,
      received: replicator?.stream.received ?? null,
      durable: replicator?.stream.durable ?? null,
      acknowledged: health?.acknowledged ?? null,
      checkpoint: position,
    },
    lag: {
      bytes: health === null || position === null ? null : lagBytes(position, health.head, ports),
      seconds: lagSeconds(replicator, ports.clock),
    },
    slot:
      health === null
        ? null
        : {
            status: health.status,
            active: health.active,
            retainedBytes: health.retainedBytes,
            budgetBytes: health.budgetBytes,
            limitBytes: health.limitBytes,
            secondsLeft: replicator?.walBudget?.secondsLeft ?? null,
            outageSeconds: replicator?.walBudget?.outageSeconds ?? null,
          },
    restart: replicator?.restart ?? null,
    lineage: stream.source,
    counters: replicator?.stream ?? null,
    budget: replicator === null ? null : { usedBytes: replicator.budgetUsedBytes, maxBytes: replicator.budgetMaxBytes },
    rowErrors: copying?.rowErrors ?? 0,
  };
}

function errorOf(stream: StreamInfo, facts: EngineStreamFacts | null): StreamStatus['error'] {
  // What this process knows is newer than what is stored; a standby's refusal is not an error.
  const error = facts === null || facts.error?.code === 'PSYNC_S1003' ? stream.error : facts.error;
  if (error === null) return null;
  const hint = 'hint' in error ? String(error.hint) : hintOf(error.code);
  return { code: error.code, message: error.message, hint, at: new Date(error.atMs).toISOString() };
}

/** A table that nobody copies is not waited for in vain without a reason. */
function pendingText({ name, held }: TableStatus): string {
  if (held === null) return name;
  return `${name} (${held.kind}${held.error === null ? '' : `: [${held.error.code}] ${held.error.message}`})`;
}

function gates(
  state: CheckpointState,
  tables: readonly TableStatus[],
  replicator: ReplicatorFacts | null,
): StreamStatus['gates'] {
  const at = replicator?.stream.durable ?? state.checkpoint?.position ?? '';
  const pending = tables.filter((table) => table.snapshot === 'pending').map(pendingText);
  const boundaryOpen = state.noCheckpointBefore === null || state.noCheckpointBefore <= at;
  const positionOpen = state.checkpoint === null || state.checkpoint.position <= at;
  return {
    snapshot: {
      open: state.snapshotDone,
      waitsFor: state.snapshotDone ? null : `the copy of ${pending.length === 0 ? 'all tables' : pending.join(', ')}`,
    },
    boundary: { open: boundaryOpen, waitsFor: boundaryOpen ? null : `the stream to reach ${state.noCheckpointBefore}` },
    position: {
      open: positionOpen,
      waitsFor: positionOpen ? null : `the stream to reach ${state.checkpoint?.position}`,
    },
    closed: closedGate(state, at),
  };
}

/** The head is asked for every few seconds: a checkpoint may well be ahead of the last answer. */
function lagBytes(checkpoint: Position, head: Position, ports: StatusPorts): number | null {
  return checkpoint >= head ? 0 : ports.bytesBetween(checkpoint, head);
}

/** Age of the oldest source transaction that clients cannot see. Rises while nothing proves that there is none. */
function lagSeconds(replicator: ReplicatorFacts | null, clock: Clock): number | null {
  if (replicator === null) return null;
  const { oldestUncommittedAtMs, durableAtMs } = replicator.stream;
  const { health } = replicator;
  const upToDate = health !== null && replicator.stream.durable !== null && replicator.stream.durable >= health.head;
  const since = oldestUncommittedAtMs ?? (upToDate ? null : durableAtMs);
  return since === null ? 0 : Math.max(0, Math.round((clock.now() - since) / 100) / 10);
}

/** Reads `GET /api/status` many times a second and remembers when the snapshot gate opened and what was visible before. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceProcess } from './service-process.ts';

/** What tests judge of the status document. */
export interface CopyStatus {
  readonly snapshotDone: boolean;
  readonly checkpoint: boolean;
  /** Rows durable, all tables together. */
  readonly rows: number;
  readonly tables: number;
  /** Whether this process has made a checkpoint. */
  readonly streaming: boolean;
  /** Versions of the sync rules that are stored. */
  readonly versions: number;
  /** By table and generation. */
  readonly rowsOf: ReadonlyMap<string, number>;
}

interface StatusDocument {
  readonly streams: readonly {
    readonly phase: string | null;
    readonly checkpoint: { readonly opId: number | string; readonly position: string } | null;
    readonly gates: { readonly snapshot: { readonly open: boolean } };
    readonly tables: readonly { readonly name: string; readonly generation: number; readonly rows: number }[];
  }[];
}

/** Null while there is no stream yet, or nobody answers. */
export async function copyStatus(service: ServiceProcess): Promise<CopyStatus | null> {
  let document: StatusDocument;
  try {
    document = (await service.status()) as StatusDocument;
  } catch (error) {
    if (error instanceof TypeError) return null; // fetch: nobody listens
    throw error;
  }
  const stream = document.streams.at(-1);
  if (stream === undefined) return null;
  return {
    snapshotDone: stream.gates.snapshot.open,
    checkpoint: stream.checkpoint !== null,
    rows: stream.tables.reduce((sum, table) => sum + table.rows, 0),
    tables: stream.tables.length,
    versions: document.streams.length,
    streaming: stream.phase === 'streaming',
    rowsOf: new Map(stream.tables.map(({ name, generation, rows }) => [`${name} ${generation}`, rows])),
  };
}

export interface CheckpointWatch {
  /** When the first table was known. */
  readonly startedAtMs: number | null;
  /** When the gate was first seen open. */
  readonly openedAtMs: number | null;
  /** Start of the last request that was answered with a closed gate. */
  readonly lastClosedAtMs: number | null;
  /** Documents that show a checkpoint behind a closed gate. */
  readonly violations: readonly CopyStatus[];
  stop(): Promise<void>;
}

const INTERVAL_MS = 100;

export function watchCheckpoints(service: ServiceProcess): CheckpointWatch {
  const seen = {
    startedAtMs: null as number | null,
    openedAtMs: null as number | null,
    lastClosedAtMs: null as number | null,
    violations: [] as CopyStatus[],
  };
  let stopping = false;
  const run = async () => {
    while (!stopping) {
      const askedAtMs = performance.now();
      const status = await copyStatus(service);
      if (status !== null && status.tables > 0) seen.startedAtMs ??= askedAtMs;
      if (status?.snapshotDone === true) seen.openedAtMs ??= performance.now();
      if (status?.snapshotDone === false) {
        seen.lastClosedAtMs = askedAtMs;
        if (status.checkpoint) seen.violations.push(status);
      }
      await sleep(INTERVAL_MS);
    }
  };
  const done = run();
  // Told by `stop`, not before.
  done.catch(() => {});
  return Object.assign(seen, {
    stop: async () => {
      stopping = true;
      await done;
    },
  });
}

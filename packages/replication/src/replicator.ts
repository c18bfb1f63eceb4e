/**
 * Replicates one stream: takes the lease, opens the source, and runs streamer and snapshotter side by side from the
 * first second, until aborted or until something fails. A failure ends the whole attempt; `supervise` decides what
 * comes next. Nothing survives an attempt but what is stored.
 */
import {
  asSluiceError,
  BEFORE_ALL,
  type Clock,
  limits,
  type Logger,
  maxPosition,
  type Position,
  type Random,
  SluiceError,
} from '@sluice/core';
import type { BucketStorage, StreamInfo, StreamReader, StreamWriter } from '@sluice/storage';
import type { SyncRules } from '@sluice/sync-rules';
import { ByteBudget } from './byte-budget.ts';
import type { ChangeSource, RestartDecision, SourceHealth } from './change-source.ts';
import { CopyProgress, type SnapshotFacts } from './copy/copy-progress.ts';
import { govern } from './copy/governor.ts';
import { completePartialRows } from './rows/partial-rows.ts';
import { newStreamProgress, type StreamProgress } from './stream/stream-progress.ts';
import { Pace, type CopyThrottle, NO_THROTTLE } from './copy/pace.ts';
import { StrainGauge } from './copy/strain-gauge.ts';
import { resume } from './resume.ts';
import { runTogether } from './run-together.ts';
import { Snapshotter } from './copy/snapshotter.ts';
import type { CopyScheduleFacts } from './copy/task-scheduler.ts';
import { StagedTables } from './rows/staged-tables.ts';
import { Streamer } from './stream/streamer.ts';
import { TableCatalog } from './tables/table-catalog.ts';
import type { TableProblem } from './tables/table-problems.ts';
import { WalBudget, type WalBudgetFacts } from './stream/wal-budget.ts';

/** How often the source is asked for its head and the state of its history. */
const HEALTH_INTERVAL_MS = 2000;
/** An idle source gets a marker this often, so that its history can be let go and progress be proven. */
const MARKER_INTERVAL_MS = 20_000;
/** How often the source's catalogue is compared with the stored tables. */
const CATALOG_INTERVAL_MS = 3000;
const PURGE_LIMIT = 2000;

export interface ReplicatorPorts {
  readonly stream: StreamInfo;
  readonly rules: SyncRules;
  readonly storage: BucketStorage;
  readonly source: ChangeSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Names this process in the lease. */
  readonly owner: string;
  /** Snapshot tasks read at once, unless an operator has stored another number. */
  readonly concurrency: number;
  /** What the copy may read at most; default: nothing limits it. */
  readonly throttle?: CopyThrottle;
}

export type ReplicatorPhase = 'starting' | 'snapshotting' | 'streaming';

/** What the status document and the probes are told about a running attempt. */
export interface ReplicatorFacts {
  readonly phase: ReplicatorPhase;
  /** How this attempt began; null before it is decided. */
  readonly restart: RestartDecision | null;
  readonly stream: StreamProgress;
  readonly snapshot: SnapshotFacts;
  /** Null before the copy may begin. */
  readonly copy: CopyScheduleFacts | null;
  readonly health: SourceHealth | null;
  readonly healthAtMs: number | null;
  readonly walBudget: WalBudgetFacts | null;
  readonly problems: readonly TableProblem[];
  readonly rowErrors: number;
  readonly budgetUsedBytes: number;
  readonly budgetMaxBytes: number;
}

export class Replicator {
  readonly #ports: ReplicatorPorts;
  readonly #stream = newStreamProgress();
  readonly #snapshot: CopyProgress;
  readonly #budget = new ByteBudget(limits.pendingBytesMax, limits.streamReservedBytes);
  readonly #walBudget: WalBudget;
  readonly #reader: StreamReader;
  readonly #pace: Pace;
  readonly #strain: StrainGauge;
  #catalog: TableCatalog | null = null;
  #snapshotter: Snapshotter | null = null;
  #phase: ReplicatorPhase = 'starting';
  #restart: RestartDecision | null = null;
  #health: SourceHealth | null = null;
  #healthAtMs: number | null = null;
  #activated: boolean;
  #purging: Promise<void> | null = null;

  constructor(ports: ReplicatorPorts) {
    this.#ports = ports;
    this.#snapshot = new CopyProgress(ports.clock);
    this.#pace = new Pace(ports.clock, ports.throttle ?? NO_THROTTLE);
    this.#strain = new StrainGauge(ports.clock);
    this.#walBudget = new WalBudget(ports);
    this.#reader = ports.storage.reader(ports.stream.id);
    this.#activated = ports.stream.lifecycle === 'active';
  }

  facts(): ReplicatorFacts {
    return {
      phase: this.#phase,
      restart: this.#restart,
      stream: this.#stream,
      snapshot: this.#snapshot.facts(),
      copy: this.#snapshotter?.facts() ?? null,
      health: this.#health,
      healthAtMs: this.#healthAtMs,
      walBudget: this.#walBudget.facts(),
      problems: this.#catalog?.problems ?? [],
      rowErrors: this.#catalog?.rowErrors ?? 0,
      budgetUsedBytes: this.#budget.used,
      budgetMaxBytes: this.#budget.max,
    };
  }

  /** One attempt. Resolves only by throwing: the abort reason, or what went wrong. */
  async run(signal: AbortSignal): Promise<never> {
    const { source, storage, stream, owner } = this.#ports;
    const writer = await storage.openWriter(stream.id, owner);
    try {
      await source.preflight();
      return await this.#replicate(writer, signal);
    } finally {
      await this.#purging;
      await writer.close();
    }
  }

  async #replicate(writer: StreamWriter, signal: AbortSignal): Promise<never> {
    const { source, storage, rules, logger, clock, random, stream, concurrency } = this.#ports;
    this.#restart = await resume({ source, storage, reader: this.#reader, writer, id: stream.id, logger });
    const ports = { rules, source, reader: this.#reader, writer, logger, clock };
    const onChange = () => {
      snapshotter.wake();
      staged.wake();
    };
    const catalog = new TableCatalog({ ...ports, onChange });
    this.#catalog = catalog;
    const staged = new StagedTables({ ...ports, catalog, stream: this.#stream, onShown: () => snapshotter.wake() });
    const snapshotter = new Snapshotter({
      ...ports,
      catalog,
      budget: this.#budget,
      progress: this.#snapshot,
      pace: this.#pace,
      random,
      concurrency,
      control: (changes) => storage.controlSnapshot(stream.id, changes),
    });
    this.#snapshotter = snapshotter;
    const { noCheckpointBefore } = await this.#reader.checkpointState();
    const streamer = new Streamer({
      ...ports,
      replayUntil: noCheckpointBefore ?? BEFORE_ALL,
      catalog,
      progress: this.#stream,
      completePartials: () => this.#completePartials(writer, catalog, signal),
      onCheckpoint: () => this.#onCheckpoint(writer),
    });
    return await runTogether(signal, [
      (own) => streamer.run(own),
      async (own) => {
        await catalog.takeIn(await catalog.look());
        await source.settle(own);
        this.#snapshot.startedAtMs = clock.now();
        this.#phase = 'snapshotting';
        await snapshotter.run(own);
      },
      (own) => catalog.settleNewcomers(own),
      (own) => staged.run(own),
      (own) => this.#watchCatalog(catalog, own),
      (own) => this.#watchHealth(own),
      (own) => this.#sendMarkers(own),
    ]);
  }

  /** Only for tables whose copy is over: the others complete their partial rows before they are marked done. */
  async #completePartials(writer: StreamWriter, catalog: TableCatalog, signal: AbortSignal): Promise<Position | null> {
    const ports = { source: this.#ports.source, reader: this.#reader, writer, catalog };
    let readBefore: Position | null = null;
    for (const table of await this.#reader.tables()) {
      if (table.snapshot !== 'done') continue;
      readBefore = maxPosition(readBefore, await completePartialRows(ports, table, signal));
    }
    return readBefore;
  }

  async #onCheckpoint(writer: StreamWriter): Promise<void> {
    const { storage, stream, logger } = this.#ports;
    if (this.#phase !== 'streaming') {
      this.#phase = 'streaming';
      await storage.reportError(stream.id, null);
    }
    if (!this.#activated) {
      await storage.activate(stream.id);
      this.#activated = true;
      logger.info({}, 'first checkpoint: the stream is active');
    }
    this.#purging ??= this.#purge(writer).finally(() => {
      this.#purging = null;
    });
  }

  async #purge(writer: StreamWriter): Promise<void> {
    try {
      while ((await writer.purgeTombstones(PURGE_LIMIT)).remaining);
    } catch (error) {
      this.#ports.logger.warn({ error }, 'tombstones could not be purged; the next checkpoint tries again');
    }
  }

  /** A table that is dropped, renamed or taken out of the publication says nothing in the stream. */
  async #watchCatalog(catalog: TableCatalog, signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#ports.clock.sleep(CATALOG_INTERVAL_MS, signal);
      const look = await catalog.look().catch((error: unknown) => {
        // A table may be locked for long; a source that is gone ends the attempt elsewhere.
        if (asSluiceError(error).action !== 'retry') throw error;
        this.#ports.logger.debug({ error }, 'the catalogue of the source could not be read');
        return null;
      });
      if (look !== null) await catalog.takeIn(look);
    }
  }

  async #watchHealth(signal: AbortSignal): Promise<never> {
    const { source, clock } = this.#ports;
    for (;;) {
      this.#health = await source.health();
      this.#healthAtMs = clock.now();
      this.#pace.allowance = govern(this.#pace.allowance, this.#strain.read(this.#health, this.#stream));
      this.#walBudget.observe(this.#health);
      if (this.#health.failure !== null) throw this.#health.failure;
      if ((await this.#reader.snapshotControl()).compare)
        throw new SluiceError('SLU_R1107', 'an operator wants all rows compared');
      await clock.sleep(HEALTH_INTERVAL_MS, signal);
    }
  }

  async #sendMarkers(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#ports.source.marker();
      await this.#ports.clock.sleep(MARKER_INTERVAL_MS, signal);
    }
  }
}

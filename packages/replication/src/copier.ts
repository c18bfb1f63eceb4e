/**
 * Copies tasks of one stream beside its replicator, which is another process: claims what nobody reads, and stores what it
 * has read. Planning, completing and publishing are the replicator's. What is read must be what the stream follows, so the
 * source is looked at first and every few seconds, with the eyes of a replicator that would go on with the stream.
 */
import { Latest, limits, SluiceError } from '@sluice/core';
import type { CopyWriter, StreamReader } from '@sluice/storage';
import { ByteBudget } from './byte-budget.ts';
import type { SourceHealth } from './change-source.ts';
import { BoundTables } from './copy/bound-tables.ts';
import { CopyFailures } from './copy/copy-failures.ts';
import { CopyProgress, type SnapshotFacts } from './copy/copy-progress.ts';
import { govern } from './copy/governor.ts';
import { NO_THROTTLE, Pace } from './copy/pace.ts';
import type { CopiedTables } from './copy/snapshot-task.ts';
import { StrainGauge } from './copy/strain-gauge.ts';
import { ReadFailure } from './copy/task-failure.ts';
import { type CopyScheduleFacts, TaskScheduler } from './copy/task-scheduler.ts';
import type { ReplicatorPorts } from './replicator.ts';
import { reached, savedSource, type StreamPlace } from './resume.ts';
import { runTogether } from './run-together.ts';
import { RowErrors } from './tables/row-errors.ts';

/** How often the stored queue is looked at. */
const LOOK_MS = 500;
const HEALTH_INTERVAL_MS = 2000;

export interface CopierFacts {
  readonly snapshot: SnapshotFacts;
  readonly copy: CopyScheduleFacts | null;
  readonly health: SourceHealth | null;
  readonly rowErrors: number;
}

export class Copier {
  readonly #ports: ReplicatorPorts;
  readonly #reader: StreamReader;
  readonly #progress: CopyProgress;
  readonly #budget = new ByteBudget(limits.pendingBytesMax, limits.streamReservedBytes);
  readonly #pace: Pace;
  readonly #strain: StrainGauge;
  readonly #rowErrors: RowErrors;
  /** Set whenever there may be something else to do. */
  readonly #queue = new Latest(0);
  #scheduler: TaskScheduler | null = null;
  #health: SourceHealth | null = null;

  constructor(ports: ReplicatorPorts) {
    this.#ports = ports;
    this.#reader = ports.storage.reader(ports.stream.id);
    this.#progress = new CopyProgress(ports.clock);
    this.#pace = new Pace(ports.clock, ports.throttle ?? NO_THROTTLE);
    this.#strain = new StrainGauge(ports.clock);
    this.#rowErrors = new RowErrors(ports.logger);
  }

  facts(): CopierFacts {
    return {
      snapshot: this.#progress.facts(),
      copy: this.#scheduler?.facts() ?? null,
      health: this.#health,
      rowErrors: this.#rowErrors.count,
    };
  }

  /** One attempt. Resolves only by throwing: the abort reason, or what went wrong. */
  async run(signal: AbortSignal): Promise<never> {
    const { storage, stream, owner } = this.#ports;
    await this.#streamIsOpened(signal);
    await this.#look();
    const writer = await storage.openCopyWriter(stream.id, owner);
    try {
      this.#progress.startedAtMs = this.#ports.clock.now();
      return await runTogether(signal, [(own) => this.#copy(writer, own), (own) => this.#watch(own)]);
    } finally {
      await writer.close();
    }
  }

  get #place(): StreamPlace {
    const { storage, stream } = this.#ports;
    return { storage, id: stream.id };
  }

  /** Until then there is nothing that could be said of the source. */
  async #streamIsOpened(signal: AbortSignal): Promise<void> {
    while ((await savedSource(this.#place)) === null) await this.#ports.clock.sleep(LOOK_MS, signal);
  }

  async #copy(writer: CopyWriter, signal: AbortSignal): Promise<never> {
    const { rules, storage, stream, clock } = this.#ports;
    const bound = new BoundTables(rules, this.#rowErrors);
    const failures = new CopyFailures({
      ...this.#ports,
      control: (changes) => storage.controlSnapshot(stream.id, changes),
      isEnded: () => false,
      onChange: () => this.#wake(),
    });
    const tables: CopiedTables = {
      bindingFor: (table) => bound.of(table),
      // The replicator plans it anew when it finds out; until then this process keeps away from it.
      rewritten: async ({ relation: { schema, name } }) => {
        throw new ReadFailure(new SluiceError('SLU_T1205', `${schema}.${name} was rewritten`));
      },
    };
    const copying = { tables, failures, budget: this.#budget, progress: this.#progress, pace: this.#pace };
    const ports = { ...this.#ports, reader: this.#reader, writer, ...copying, onEnd: () => this.#wake() };
    const scheduler = new TaskScheduler(ports);
    this.#scheduler = scheduler;
    try {
      for (;;) {
        const version = this.#queue.version;
        await this.#round(scheduler, signal);
        failures.throwIfAny();
        const forget = clock.timer(LOOK_MS, () => this.#wake());
        await this.#queue.changed(version, signal).finally(forget);
      }
    } finally {
      await scheduler.settled();
    }
  }

  #wake(): void {
    this.#queue.set(this.#queue.value + 1);
  }

  async #round(scheduler: TaskScheduler, signal: AbortSignal): Promise<void> {
    const all = await this.#reader.tables();
    const planned = new Map(
      all.filter(({ snapshot, plan }) => snapshot === 'pending' && plan !== null).map((table) => [table.id, table]),
    );
    const [tasks, control] = await Promise.all([this.#reader.tasks(), this.#reader.snapshotControl()]);
    const queued = tasks.flatMap((task) => {
      const table = planned.get(task.tableId);
      return table === undefined ? [] : [{ table, task }];
    });
    scheduler.schedule(queued, control, signal);
  }

  async #watch(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#ports.clock.sleep(HEALTH_INTERVAL_MS, signal);
      await this.#look();
    }
  }

  /** @throws SLU_R1109, or why the stream could not go on from what answers here */
  async #look(): Promise<void> {
    const { source } = this.#ports;
    const saved = await savedSource(this.#place);
    const { kind, reasons } = await source.inspect({ saved, asked: false, reached: () => reached(this.#reader) });
    if (kind === 'reconcile' || kind === 'full') throw new SluiceError('SLU_R1109', reasons.join('; '));
    this.#health = await source.health();
    const { durable } = await this.#reader.checkpointState();
    const stream = { durable, flushes: 0, flushMs: 0 };
    this.#pace.allowance = govern(this.#pace.allowance, this.#strain.read(this.#health, stream));
  }
}

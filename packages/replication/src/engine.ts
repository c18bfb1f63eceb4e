/**
 * All streams of a storage: one supervised replicator (or copier) for each that is processing or active, and, where it is
 * replicated, clean-up for those that are stopped. Follows the stored list, so that a deploy in any process is seen by the
 * others.
 */
import { asSluiceError, type Clock, type Logger, type Random, SluiceError, type StreamId } from '@sluice/core';
import type { BucketStorage, StreamInfo } from '@sluice/storage';
import type { SyncRules } from '@sluice/sync-rules';
import type { ChangeSource } from './change-source.ts';
import { Copier, type CopierFacts } from './copier.ts';
import type { CopyThrottle } from './copy/pace.ts';
import { Replicator, type ReplicatorFacts } from './replicator.ts';
import { supervise } from './supervisor.ts';

/** `replicate`: streams and copies, or stands by. `copy`: reads tasks beside whoever replicates. */
export type Duty = 'replicate' | 'copy';

export interface EnginePorts {
  readonly duty: Duty;
  readonly storage: BucketStorage;
  /** A source for one stream; its slot is named after the stream. */
  readonly createSource: (stream: StreamInfo) => ChangeSource;
  /** @throws PSYNC_R0001 if the stored rules no longer compile */
  readonly compileRules: (stream: StreamInfo) => SyncRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly owner: string;
  /** Snapshot tasks read at once, per stream, unless an operator has stored another number. */
  readonly concurrency: number;
  /** What the copy of one stream may read at most. */
  readonly throttle: CopyThrottle;
}

export interface EngineStreamFacts {
  readonly streamId: StreamId;
  /** Null between attempts, when standing by, and in a process that only copies. */
  readonly replicator: ReplicatorFacts | null;
  /** Null between attempts, and in a process that replicates. */
  readonly copier: CopierFacts | null;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
    readonly atMs: number;
  } | null;
  readonly halted: boolean;
}

interface Running {
  readonly stop: AbortController;
  ended: Promise<void>;
  facts: EngineStreamFacts;
  attempt: Replicator | Copier | null;
}

export class ReplicationEngine {
  readonly #ports: EnginePorts;
  readonly #running = new Map<StreamId, Running>();

  constructor(ports: EnginePorts) {
    this.#ports = ports;
  }

  facts(): readonly EngineStreamFacts[] {
    return [...this.#running.values()].map(({ facts, attempt }) => {
      if (attempt instanceof Copier) return { ...facts, copier: attempt.facts() };
      const replicator = attempt?.facts() ?? null;
      const recovered = replicator !== null && replicator.stream.commits > 0;
      return recovered ? { ...facts, replicator, error: null, halted: false } : { ...facts, replicator };
    });
  }

  /** Runs until aborted; then waits for all replicators to give their leases back. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of this.#ports.storage.watchStreams(signal)) await this.#reconcile(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      for (const running of this.#running.values()) running.stop.abort(signal.reason);
      await Promise.all([...this.#running.values()].map((running) => running.ended));
      // Who runs it again, after storage was gone for a while, starts all of them anew.
      this.#running.clear();
    }
  }

  async #reconcile(signal: AbortSignal): Promise<void> {
    const streams = await this.#ports.storage.listStreams();
    const wanted = new Set(streams.filter((stream) => stream.lifecycle !== 'stopped').map((stream) => stream.id));
    for (const [id, running] of this.#running) {
      if (wanted.has(id)) continue;
      running.stop.abort(new Error('the stream was stopped'));
      await running.ended;
      this.#running.delete(id);
    }
    for (const stream of streams) {
      if (signal.aborted) return;
      if (stream.lifecycle === 'stopped') await this.#cleanUp(stream);
      else if (!this.#running.has(stream.id)) this.#start(stream, signal);
    }
  }

  #start(stream: StreamInfo, signal: AbortSignal): void {
    const { clock, random } = this.#ports;
    const logger = this.#ports.logger.child({ stream: stream.id });
    const stop = new AbortController();
    const none = { replicator: null, copier: null, error: null, halted: false };
    const running: Running = { stop, facts: { streamId: stream.id, ...none }, attempt: null, ended: Promise.resolve() };
    const supervision = {
      attempt: (own: AbortSignal) => this.#attempt(stream.id, running, own),
      onFailure: async (error: SluiceError) => {
        const report = { code: error.code, message: error.message, atMs: clock.now() };
        running.facts = { ...running.facts, error: { ...report, hint: error.hint }, halted: error.action === 'stop' };
        // What befell the right to write says nothing of the stream: another process replicates it.
        const ours = this.#ports.duty === 'replicate' && error.code !== 'PSYNC_S1003' && error.code !== 'SLU_R1101';
        if (ours) await this.#report(stream.id, report);
      },
      clock,
      random,
      logger,
    };
    running.ended = supervise(supervision, AbortSignal.any([signal, stop.signal]));
    this.#running.set(stream.id, running);
  }

  /** For operators only: storage may be what fails. */
  async #report(id: StreamId, error: StreamInfo['error']): Promise<void> {
    const { storage, logger } = this.#ports;
    await storage.reportError(id, error).catch((cause: unknown) => {
      logger.warn({ stream: id, code: asSluiceError(cause).code }, 'an error of the stream could not be stored');
    });
  }

  async #attempt(id: StreamId, running: Running, signal: AbortSignal): Promise<never> {
    const { storage } = this.#ports;
    const stream = (await storage.listStreams()).find((candidate) => candidate.id === id);
    if (stream === undefined) throw new SluiceError('SLU_X0001', `stream ${id} is not stored any more`);
    const rules = this.#ports.compileRules(stream);
    const source = this.#ports.createSource(stream);
    const ports = { ...this.#ports, stream, rules, source, logger: this.#ports.logger.child({ stream: id }) };
    const attempt = this.#ports.duty === 'copy' ? new Copier(ports) : new Replicator(ports);
    running.attempt = attempt;
    try {
      return await attempt.run(signal);
    } finally {
      running.attempt = null;
      await source.close();
    }
  }

  /** First what the source keeps for the stream, then its data. Both can be done again if interrupted. */
  async #cleanUp(stream: StreamInfo): Promise<void> {
    const { storage, logger, createSource, duty } = this.#ports;
    if (duty === 'copy') return;
    const source = createSource(stream);
    try {
      await source.teardown(stream.source);
      await storage.dropStream(stream.id);
      logger.info({ stream: stream.id }, 'stopped stream removed');
    } catch (error) {
      logger.warn(
        { stream: stream.id, error },
        'a stopped stream could not be removed; tried again at the next change',
      );
    } finally {
      await source.close();
    }
  }
}

/**
 * The in-memory adapter: obviously correct, and therefore the oracle that other adapters are compared with. Keeps the
 * whole log for ever; not for production.
 */
import { Latest, type Position, SluiceError, type StreamId } from '@sluice/core';
import type { BucketStorage, StreamInfo, StreamReader, WriteCheckpoint } from '../bucket-storage.ts';
import { configuredAfter, type ConfiguredRules } from '../configured-rules.ts';
import type { CopyWriter } from '../copy-writer.ts';
import { requireNewest } from '../newest-stream.ts';
import { type SnapshotControl, snapshotControlAfter, type SnapshotControlChange } from '../snapshot-control.ts';
import type { StreamWriter } from '../writer.ts';
import { MemoryCopyWriter } from './memory-copy-writer.ts';
import { MemoryReader } from './memory-reader.ts';
import { type MemoryStream, newMemoryStream } from './memory-stream.ts';
import { MemoryWriter } from './memory-writer.ts';

export interface MemoryStorage extends BucketStorage {
  /** What a new process finds after the old one died: the same data, no lease held. */
  afterCrash(): MemoryStorage;
  /** Takes those that copy beside the streams' writers for dead. */
  strikeOffCopyWriters(): void;
}

export function createMemoryStorage(): MemoryStorage {
  return new MemoryBucketStorage(new Map(), new Map(), { nextId: 1, configured: [] });
}

const COPIER = ', copier ';

interface Shared {
  nextId: StreamId;
  configured: readonly ConfiguredRules[];
}

class MemoryBucketStorage implements MemoryStorage {
  readonly #streams: Map<StreamId, MemoryStream>;
  readonly #writeCheckpoints: Map<string, WriteCheckpoint>;
  readonly #shared: Shared;
  readonly #listWoken = new Latest(0);
  readonly #woken = new Map<StreamId, Latest<number>>();

  constructor(streams: Map<StreamId, MemoryStream>, writeCheckpoints: Map<string, WriteCheckpoint>, shared: Shared) {
    this.#streams = streams;
    this.#writeCheckpoints = writeCheckpoints;
    this.#shared = shared;
  }

  afterCrash(): MemoryStorage {
    for (const stream of this.#streams.values()) {
      stream.token++;
      stream.writerOpen = false;
      stream.claimants.clear();
    }
    return new MemoryBucketStorage(this.#streams, this.#writeCheckpoints, this.#shared);
  }

  strikeOffCopyWriters(): void {
    for (const { claimants } of this.#streams.values()) {
      for (const claimant of claimants) if (claimant.includes(COPIER)) claimants.delete(claimant);
    }
  }

  async createStream(rules: string, createdAtMs: number, after?: StreamId | null): Promise<StreamInfo> {
    requireNewest(this.#list(), after);
    for (const stream of this.#streams.values()) {
      if (stream.info.lifecycle === 'processing') stream.info = { ...stream.info, lifecycle: 'stopped' };
    }
    const stream = newMemoryStream(this.#shared.nextId++, rules, createdAtMs);
    this.#streams.set(stream.info.id, stream);
    this.#wakeList();
    return stream.info;
  }

  async listStreams(): Promise<readonly StreamInfo[]> {
    return this.#list();
  }

  async activate(id: StreamId): Promise<void> {
    if (this.#stream(id).info.lifecycle === 'active') return;
    for (const stream of this.#streams.values()) {
      if (stream.info.id === id) stream.info = { ...stream.info, lifecycle: 'active' };
      else if (stream.info.lifecycle === 'active') stream.info = { ...stream.info, lifecycle: 'stopped' };
    }
    this.#wakeList();
  }

  async reportError(id: StreamId, error: StreamInfo['error']): Promise<void> {
    const stream = this.#stream(id);
    stream.info = { ...stream.info, error };
  }

  async dropStream(id: StreamId): Promise<void> {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (stream.info.lifecycle !== 'stopped') throw new SluiceError('SLU_X0001', `stream ${id} is not stopped`);
    this.#streams.delete(id);
    this.#wakeList();
  }

  async configuredRules(): Promise<readonly ConfiguredRules[]> {
    return this.#shared.configured;
  }

  async putConfiguredRules(process: string, hash: string | null): Promise<void> {
    this.#shared.configured = configuredAfter(this.#shared.configured, { process, hash });
  }

  async *watchStreams(signal: AbortSignal): AsyncIterable<void> {
    while (!signal.aborted) {
      const seen = this.#listWoken.version;
      yield;
      try {
        await this.#listWoken.changed(seen, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  async controlSnapshot(id: StreamId, changes: readonly SnapshotControlChange[]): Promise<SnapshotControl> {
    const stream = this.#stream(id);
    stream.control = snapshotControlAfter(stream.control, changes);
    return stream.control;
  }

  reader(id: StreamId): StreamReader {
    return new MemoryReader(this.#stream(id), this.#wakerOf(id));
  }

  async openWriter(id: StreamId, owner: string): Promise<StreamWriter> {
    const stream = this.#stream(id);
    if (stream.writerOpen) throw new SluiceError('PSYNC_S1003', `${owner}: another process replicates stream ${id}`);
    const waker = this.#wakerOf(id);
    return new MemoryWriter(stream, owner, () => waker.set(waker.value + 1));
  }

  async openCopyWriter(id: StreamId, owner: string): Promise<CopyWriter> {
    const stream = this.#stream(id);
    const claimant = `${owner}${COPIER}${++stream.copyWriters}`;
    return new MemoryCopyWriter(stream, claimant, () => {
      if (stream.claimants.has(claimant)) return;
      throw new SluiceError('SLU_R1108', `stream ${id}: ${claimant} was taken for dead`);
    });
  }

  async createWriteCheckpoint(user: string, head: Position): Promise<bigint> {
    const id = (this.#writeCheckpoints.get(user)?.id ?? 0n) + 1n;
    this.#writeCheckpoints.set(user, { id, head });
    return id;
  }

  async requestWriteCheckpoint(user: string, requested: bigint, head: Position): Promise<bigint> {
    const stored = this.#writeCheckpoints.get(user);
    if (stored !== undefined && stored.id >= requested) return stored.id;
    this.#writeCheckpoints.set(user, { id: requested, head });
    return requested;
  }

  async writeCheckpoints(users: readonly string[]): Promise<ReadonlyMap<string, WriteCheckpoint>> {
    const found = new Map<string, WriteCheckpoint>();
    for (const user of users) {
      const stored = this.#writeCheckpoints.get(user);
      if (stored !== undefined) found.set(user, stored);
    }
    return found;
  }

  async close(): Promise<void> {}

  #list(): StreamInfo[] {
    return [...this.#streams.values()].map((stream) => stream.info);
  }

  #stream(id: StreamId): MemoryStream {
    const stream = this.#streams.get(id);
    if (stream === undefined) throw new SluiceError('SLU_X0001', `there is no stream ${id}`);
    return stream;
  }

  #wakerOf(id: StreamId): Latest<number> {
    const waker = this.#woken.get(id) ?? new Latest(0);
    this.#woken.set(id, waker);
    return waker;
  }

  #wakeList(): void {
    this.#listWoken.set(this.#listWoken.value + 1);
  }
}

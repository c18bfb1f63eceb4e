/** The adapter: streams, their readers and writers, and write checkpoints, in one LMDB directory. */
import {
  type Checkpoint,
  type Clock,
  type Failpoints,
  type Logger,
  noFailpoints,
  type Position,
  type StreamId,
} from '@sluice/core';
import {
  type BucketStorage,
  type ConfiguredRules,
  type CopyWriter,
  type SnapshotControl,
  snapshotControlAfter,
  type SnapshotControlChange,
  type StreamInfo,
  type StreamReader,
  type StreamWriter,
  type WriteCheckpoint,
} from '@sluice/storage';
import { atomically } from './atomically.ts';
import { type LmdbStorageOptions, MAP_SIZE_BYTES_DEFAULT, POLL_MS_DEFAULT } from './config.ts';
import { addCopyWriter } from './fencing/copy-writers.ts';
import { LmdbCopyWriter } from './copying/copy-writer.ts';
import { dropStream } from './drop-stream.ts';
import { forgetInstance, registerInstance } from './fencing/holder.ts';
import { takeLease } from './fencing/lease.ts';
import { LmdbReader } from './reads.ts';
import { openSchema, type Schema } from './schema.ts';
import {
  activate,
  createStream,
  getCheckpointState,
  getConfigured,
  getSnapshotControl,
  listStreams,
  putConfigured,
  putError,
  putSnapshotControl,
  requireStream,
} from './streams.ts';
import { Watched } from './watch.ts';
import { createWriteCheckpoint, getWriteCheckpoint, requestWriteCheckpoint } from './write-checkpoints.ts';
import { LmdbWriter } from './writer.ts';

/** @throws SLU_T1201 if the path cannot be opened, SLU_T1202 if another format stands there */
export async function openLmdbStorage(options: LmdbStorageOptions): Promise<BucketStorage> {
  const schema = openSchema(options.path, options.mapSizeBytes ?? MAP_SIZE_BYTES_DEFAULT, options.indexLimits);
  options.logger.debug({ path: options.path }, 'LMDB storage opened');
  return new LmdbStorage(schema, options);
}

class LmdbStorage implements BucketStorage {
  readonly #schema: Schema;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #pollMs: number;
  readonly #failpoints: Failpoints;
  readonly #instance = registerInstance();
  /** One per stream: what it keeps of sums serves all connections. */
  readonly #readers = new Map<StreamId, LmdbReader>();
  readonly #checkpoints = new Map<StreamId, Watched<Checkpoint | null>>();
  readonly #streams: Watched<string>;

  constructor(schema: Schema, options: LmdbStorageOptions) {
    this.#schema = schema;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#pollMs = options.pollMs ?? POLL_MS_DEFAULT;
    this.#failpoints = options.failpoints ?? noFailpoints;
    this.#streams = this.#watched(
      () =>
        listStreams(schema)
          .map(({ id, lifecycle }) => `${id} ${lifecycle}`)
          .join(),
      (a, b) => a === b,
    );
  }

  async createStream(rules: string, createdAtMs: number, after?: StreamId | null): Promise<StreamInfo> {
    const stream = await atomically(this.#schema, () => createStream(this.#schema, { rules, createdAtMs, after }));
    this.#streams.refresh();
    return stream;
  }

  async listStreams(): Promise<readonly StreamInfo[]> {
    this.#schema.root.resetReadTxn();
    return listStreams(this.#schema);
  }

  async activate(id: StreamId): Promise<void> {
    const changed = await atomically(this.#schema, () => activate(this.#schema, id));
    if (changed) this.#streams.refresh();
  }

  async reportError(id: StreamId, error: StreamInfo['error']): Promise<void> {
    await atomically(this.#schema, () => {
      requireStream(this.#schema, id);
      putError(this.#schema, id, error);
    });
  }

  async configuredRules(): Promise<readonly ConfiguredRules[]> {
    this.#schema.root.resetReadTxn();
    return getConfigured(this.#schema);
  }

  async putConfiguredRules(process: string, hash: string | null): Promise<void> {
    await atomically(this.#schema, () => putConfigured(this.#schema, { process, hash }));
  }

  async dropStream(id: StreamId): Promise<void> {
    await dropStream(this.#schema, id);
    this.#checkpoints.get(id)?.stop();
    this.#checkpoints.delete(id);
    this.#readers.delete(id);
    this.#streams.refresh();
    this.#logger.info({ stream: id }, 'stream dropped');
  }

  async *watchStreams(signal: AbortSignal): AsyncIterable<void> {
    for await (const _ of this.#streams.watch(signal)) yield;
  }

  controlSnapshot(id: StreamId, changes: readonly SnapshotControlChange[]): Promise<SnapshotControl> {
    return atomically(this.#schema, () => {
      requireStream(this.#schema, id);
      const control = snapshotControlAfter(getSnapshotControl(this.#schema, id), changes);
      putSnapshotControl(this.#schema, id, control);
      return control;
    });
  }

  reader(id: StreamId): StreamReader {
    let reader = this.#readers.get(id);
    if (reader === undefined) {
      reader = new LmdbReader(this.#schema, id, this.#checkpointOf(id));
      this.#readers.set(id, reader);
    }
    return reader;
  }

  async openWriter(id: StreamId, owner: string): Promise<StreamWriter> {
    const token = await atomically(this.#schema, () => {
      requireStream(this.#schema, id);
      return takeLease(this.#schema, id, { owner, instance: this.#instance });
    });
    const watched = this.#checkpointOf(id);
    return new LmdbWriter({
      schema: this.#schema,
      stream: id,
      token,
      owner,
      clock: this.#clock,
      failpoints: this.#failpoints,
      wake: () => watched.refresh(),
    });
  }

  async openCopyWriter(id: StreamId, owner: string): Promise<CopyWriter> {
    const ref = await atomically(this.#schema, () => {
      requireStream(this.#schema, id);
      return addCopyWriter(this.#schema, id, { owner, instance: this.#instance });
    });
    const [schema, clock, failpoints] = [this.#schema, this.#clock, this.#failpoints];
    return new LmdbCopyWriter({ schema, stream: id, ref, clock, failpoints });
  }

  createWriteCheckpoint(user: string, head: Position): Promise<bigint> {
    return atomically(this.#schema, () => createWriteCheckpoint(this.#schema, user, head));
  }

  requestWriteCheckpoint(user: string, requested: bigint, head: Position): Promise<bigint> {
    return atomically(this.#schema, () => requestWriteCheckpoint(this.#schema, user, { id: requested, head }));
  }

  async writeCheckpoints(users: readonly string[]): Promise<ReadonlyMap<string, WriteCheckpoint>> {
    this.#schema.root.resetReadTxn();
    const found = new Map<string, WriteCheckpoint>();
    for (const user of users) {
      const stored = getWriteCheckpoint(this.#schema, user);
      if (stored !== null) found.set(user, stored);
    }
    return found;
  }

  async close(): Promise<void> {
    for (const watched of this.#checkpoints.values()) watched.stop();
    this.#streams.stop();
    forgetInstance(this.#instance);
    await this.#schema.root.flushed;
    await this.#schema.root.close();
  }

  #checkpointOf(id: StreamId): Watched<Checkpoint | null> {
    let watched = this.#checkpoints.get(id);
    if (watched === undefined) {
      watched = this.#watched(
        () => getCheckpointState(this.#schema, id).checkpoint,
        (a, b) => a?.opId === b?.opId && a?.position === b?.position,
      );
      this.#checkpoints.set(id, watched);
    }
    return watched;
  }

  #watched<T>(read: () => T, same: (a: T, b: T) => boolean): Watched<T> {
    const fresh = () => {
      this.#schema.root.resetReadTxn();
      return read();
    };
    return new Watched({ clock: this.#clock, pollMs: this.#pollMs, read: fresh, same });
  }
}

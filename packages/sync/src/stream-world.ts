/**
 * A small world for tests of the stream: the in-memory storage, a writer, rules made by hand, and clients that collect
 * lines. Buckets are named by the tests; a user's dynamic buckets are the lookup entries under `of:<user>`.
 */
import { type OpDraft, putOp, removeOp, silentLogger, type StreamId, type TableId } from '@sluice/core';
import {
  type BucketStorage,
  createMemoryStorage,
  type Effect,
  type LookupDraft,
  type StreamWriter,
} from '@sluice/storage';
import type { ResolvedBucket, SyncRequest, SyncRules } from '@sluice/sync-rules';
import { DownloadShare } from './download-share.ts';
import { FakeClock } from './fake-clock.ts';
import type { MembershipLimits } from './membership.ts';
import { type Line, parseSyncStreamRequest } from './protocol.ts';
import { type ServedVersion, ServedVersions, type ServingStorage } from './served-version.ts';
import { streamLines } from './stream.ts';
import { WriteCheckpoints } from './write-checkpoints.ts';

interface Row {
  readonly bucket: string;
  readonly id: string;
  /** Null removes. */
  readonly value: string | null;
}

interface Write {
  readonly tableId: TableId;
  readonly key: string;
  readonly ops: readonly OpDraft[];
  readonly lookups: readonly LookupDraft[];
}

export class StreamWorld {
  readonly clock = new FakeClock();
  readonly storage: BucketStorage = createMemoryStorage();
  readonly downloads = new DownloadShare();
  /** How often the serving side asked storage for what. */
  readonly calls = new Map<string, number>();
  readonly lookupKeys: string[] = [];
  /** Stands before every answer of the serving side's storage. */
  hindrance: (call: string) => Promise<void> = async () => {};
  /** Whether storage still knows what changed. */
  knowsChanges = true;
  readonly versions: ServedVersions;
  readonly writeCheckpoints: WriteCheckpoints;
  /** What the source's history is said to end with. */
  head = position(0);
  markers = 0;
  headReads = 0;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #writer: StreamWriter | null = null;
  #tableId = 0;
  #staticBuckets: readonly ResolvedBucket[] = [];

  constructor() {
    this.versions = new ServedVersions({
      storage: this.#counted(),
      compile: () => this.#rules(),
      clock: this.clock,
      logger: silentLogger,
    });
    this.writeCheckpoints = new WriteCheckpoints({
      storage: this.storage,
      source: {
        head: async () => {
          this.headReads++;
          return this.head;
        },
        marker: async () => {
          this.markers++;
        },
      },
      onStored: (user, newest) => this.versions.current?.feed.writeStored(user, newest),
      clock: this.clock,
    });
  }

  /** @param staticBuckets what every client has, as a default */
  static async start(staticBuckets: readonly { bucket: string; priority?: number }[] = []): Promise<StreamWorld> {
    const world = new StreamWorld();
    world.#staticBuckets = staticBuckets.map(({ bucket, priority = 3 }) => ({
      bucket,
      priority,
      definition: 'all',
      reasons: [{ default: 'all' }],
    }));
    await world.activateNewStream();
    world.#running = world.versions.run(world.#stop.signal);
    await world.until(() => world.versions.current !== null);
    return world;
  }

  async activateNewStream(): Promise<void> {
    const stream = await this.storage.createStream('', this.clock.now());
    this.#writer = await this.storage.openWriter(stream.id, 'test');
    const columns = [{ name: 'id', type: 'text', typeId: 25, typeModifier: -1, key: true }];
    const relation = { sourceId: '1', connectionTag: 'default', schema: 'public', name: 't', columns };
    const table = await this.#writer.addTable({ ...relation, replicaIdentity: 'default' }, [0]);
    this.#tableId = table.id;
    await this.#writer.planTable(table, { hash: '', strategy: '' }, []);
    await this.#writer.markTableSnapshotDone(table.id, table.generation, position(0));
    await this.#writer.markAllSnapshotDone(position(0));
    await this.storage.activate(stream.id);
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the test is over'));
    await this.#running;
    await this.storage.close();
  }

  /** One source transaction, visible as one checkpoint at position `at`. */
  async commit(at: number, rows: readonly Row[], lookups: readonly LookupDraft[] = []): Promise<void> {
    const writer = this.#writer as StreamWriter;
    const writes: Write[] = rows.map(({ bucket, id, value }) => ({
      tableId: this.#tableId,
      key: `${bucket}/${id}`,
      ops: [value === null ? removeOp(bucket, 't', id, id) : putOp(bucket, 't', id, id, JSON.stringify({ id, value }))],
      lookups: [],
    }));
    for (const lookup of lookups) writes.push({ tableId: this.#tableId, key: lookup.key, ops: [], lookups: [lookup] });
    if (writes.length > 0) await writer.flush({ writes, evaluate, boundary: position(at) });
    await writer.commit(position(at), { createEmpty: true });
  }

  /** Many rows in one transaction, under ids `from` to `to`. */
  rows(bucket: string, from: number, to: number, value = 'x'): Row[] {
    return Array.from({ length: to - from + 1 }, (_, index) => ({ bucket, id: `${from + index}`, value }));
  }

  #rules(): SyncRules {
    return {
      hash: '',
      definitions: [],
      tablePatterns: [],
      compileTable: () => null,
      compileByteTable: () => null,
      compileTypedTable: () => null,
      resolve: (request) => this.#resolve(request),
    };
  }

  #resolve(request: SyncRequest): ReturnType<SyncRules['resolve']> {
    const key = `of:${String(request.token.sub)}`;
    const streams = [
      { name: 'all', isDefault: true, errors: [] },
      { name: 'own', isDefault: true, errors: [] },
    ];
    const staticBuckets = request.includeDefaults ? this.#staticBuckets : [];
    return {
      streams,
      staticBuckets,
      dynamic: {
        resolve: async (lookup) => {
          const [found = []] = await lookup([key]);
          const names = found.flatMap((text) => JSON.parse(text) as { bucket: string; priority?: number }[]);
          const own = names.map(
            ({ bucket, priority = 3 }): ResolvedBucket => ({
              bucket,
              priority,
              definition: 'own',
              reasons: [{ default: 'own' }],
            }),
          );
          return { buckets: [...staticBuckets, ...own], lookups: [key], errors: [] };
        },
      },
    };
  }

  #counted(): ServingStorage {
    const { storage, calls } = this;
    const count = async <T>(name: string, answer: Promise<T>): Promise<T> => {
      calls.set(name, (calls.get(name) ?? 0) + 1);
      await this.hindrance(name);
      return answer;
    };
    const reader = (id: StreamId): ReturnType<ServingStorage['reader']> => {
      const inner = storage.reader(id);
      return {
        watch: (signal) => inner.watch(signal),
        bucketSums: (...args) => count('bucketSums', inner.bucketSums(...args)),
        changes: async (...args) => {
          const changes = await count('changes', inner.changes(...args));
          return this.knowsChanges ? changes : { buckets: 'all', lookups: 'all' };
        },
        readOps: (...args) => count('readOps', inner.readOps(...args)),
        lookups: (opId, keys) => {
          this.lookupKeys.push(...keys);
          return count('lookups', inner.lookups(opId, keys));
        },
      };
    };
    return {
      listStreams: () => storage.listStreams(),
      watchStreams: (signal) => storage.watchStreams(signal),
      reader,
      writeCheckpoints: (users) => count('writeCheckpoints', storage.writeCheckpoints(users)),
    };
  }

  get version(): ServedVersion {
    const version = this.versions.current;
    if (version === null) throw new Error('no version is served');
    return version;
  }

  connect(
    user: string,
    options: {
      body?: object;
      secondsToLive?: number;
      limits?: MembershipLimits;
      opsPerLine?: number;
      interruptAfterOps?: number;
    } = {},
  ): TestConnection {
    const end = new AbortController();
    const lines = streamLines(
      {
        version: this.version,
        clock: this.clock,
        random: () => 0.5,
        ...(options.limits === undefined ? {} : { limits: options.limits }),
        ...(options.interruptAfterOps === undefined ? {} : { interruptAfterOps: options.interruptAfterOps }),
        downloads: {
          begin: () => {
            const share = this.downloads.begin();
            const { opsPerLine } = options;
            const bounds = () => ({ ...share.bounds(), ...(opsPerLine === undefined ? {} : { ops: opsPerLine }) });
            return { ...share, bounds };
          },
        },
      },
      {
        session: {
          userId: user,
          payload: { sub: user },
          expiresAtMs: this.clock.now() + (options.secondsToLive ?? 3600) * 1000,
        },
        request: parseSyncStreamRequest(options.body ?? {}),
      },
      end.signal,
    );
    return new TestConnection(lines, end);
  }

  async until(condition: () => boolean): Promise<void> {
    for (let turn = 0; turn < 10_000; turn++) {
      if (condition()) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error('the condition was not reached');
  }

  /** Lets everything that is under way come to rest. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

function evaluate(write: Write): Effect {
  return { record: new Uint8Array([1]), ops: write.ops, lookups: write.lookups, partial: false };
}

function position(at: number): string {
  return at.toString().padStart(8, '0');
}

/** Pulls lines as fast as a test wants them. */
export class TestConnection {
  readonly lines: Line[] = [];
  ended = false;
  error: unknown = null;
  readonly #source: AsyncGenerator<Line, void, void>;
  readonly #end: AbortController;

  constructor(source: AsyncGenerator<Line, void, void>, end: AbortController) {
    this.#source = source;
    this.#end = end;
  }

  async next(): Promise<Line | null> {
    const result = await this.#source.next();
    if (result.done === true) {
      this.ended = true;
      return null;
    }
    this.lines.push(result.value);
    return result.value;
  }

  /** Takes all lines in the background. */
  drain(): this {
    const run = async () => {
      try {
        while ((await this.next()) !== null);
      } catch (error) {
        this.error = error;
        this.ended = true;
      }
    };
    void run();
    return this;
  }

  disconnect(): void {
    this.#end.abort(new Error('the client is gone'));
  }

  /** The lines since the last call, in short. */
  take(): string[] {
    return this.lines.splice(0).map(brief);
  }
}

function brief(line: Line): string {
  if ('data' in line)
    return `data ${line.data.bucket} ${line.data.slices[0]?.firstOp}-${line.data.slices.at(-1)?.lastOp}`;
  if ('checkpoint' in line) {
    const { last_op_id, buckets, write_checkpoint } = line.checkpoint;
    return `checkpoint ${last_op_id} [${buckets.map((each) => `${each.bucket}:${each.count}`).join(' ')}]${acknowledged(write_checkpoint)}`;
  }
  if ('checkpoint_diff' in line) {
    const { last_op_id, updated_buckets, removed_buckets, write_checkpoint } = line.checkpoint_diff;
    const removed = removed_buckets.map((each) => ` -${each}`).join('');
    return `diff ${last_op_id} [${updated_buckets.map((each) => `${each.bucket}:${each.count}`).join(' ')}${removed}]${acknowledged(write_checkpoint)}`;
  }
  if ('checkpoint_complete' in line) return `complete ${line.checkpoint_complete.last_op_id}`;
  if ('partial_checkpoint_complete' in line) {
    return `partial ${line.partial_checkpoint_complete.priority} ${line.partial_checkpoint_complete.last_op_id}`;
  }
  return `expires ${line.token_expires_in}`;
}

function acknowledged(writeCheckpoint: string | undefined): string {
  return writeCheckpoint === undefined ? '' : ` wc ${writeCheckpoint}`;
}

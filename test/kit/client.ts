/**
 * The reference client: the wire protocol over HTTP, written from docs/protocol.md and nothing else. It keeps buckets and
 * an op log, verifies checksums as the client SDKs do, resumes where it stopped and shows the reduced rows of each table.
 * End-to-end tests, benches and the crash tests use it; it asserts more than a real client would.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { createGunzip } from 'node:zlib';
import { OpLog, type WireBucket, type WireOp } from './op-log.ts';
import type { OpRegister } from './op-register.ts';
import { PATIENCE_MS } from './patience.ts';
import { type Framing, readBsonDocuments, readJsonLines } from './wire-framing.ts';

export interface SyncClientOptions {
  /** Base URL without a trailing slash. */
  readonly endpoint: string;
  readonly token: string | (() => string | Promise<string>);
  readonly format?: 'bson' | 'ndjson';
  readonly gzip?: boolean;
  /** NDJSON only; false asks for rows embedded as JSON, as old clients do. */
  readonly rawData?: boolean;
  readonly clientId?: string;
  readonly parameters?: Record<string, unknown>;
  readonly includeDefaults?: boolean;
  readonly subscriptions?: readonly {
    readonly stream: string;
    readonly parameters: Record<string, unknown> | null;
    readonly override_priority: number | null;
  }[];
  /** False keeps checksums and positions only: for benches that count ops. */
  readonly keepRows?: boolean;
  /** Shared by clients: told of every op. */
  readonly register?: OpRegister;
}

/** One line as it came, with what is needed to judge it. */
export type WireLine = Readonly<Record<string, unknown>>;

/** A response other than 200. */
export class HttpError extends Error {
  readonly status: number;
  readonly body: {
    readonly error?: { readonly code?: string; readonly description?: string; readonly details?: string };
  };

  constructor(status: number, text: string) {
    super(`HTTP ${status}: ${text.slice(0, 500)}`);
    this.status = status;
    this.body = text.startsWith('{') ? (JSON.parse(text) as HttpError['body']) : {};
  }

  get code(): string | undefined {
    return this.body.error?.code;
  }
}

export interface ClientStats {
  /** Response bytes as they came over the wire, compressed or not. */
  bytes: number;
  lines: number;
  ops: number;
  checkpoints: number;
  completes: number;
  partials: number;
  checksumFailures: number;
  keepalives: number;
}

interface Checkpoint {
  lastOpId: bigint;
  writeCheckpoint: bigint | null;
  readonly buckets: Map<string, WireBucket>;
}

interface CheckpointFields {
  readonly last_op_id: string;
  readonly write_checkpoint?: string;
  readonly buckets: readonly WireBucket[];
  readonly updated_buckets: readonly WireBucket[];
  readonly removed_buckets: readonly string[];
  readonly streams?: readonly {
    readonly name: string;
    readonly is_default: boolean;
    readonly errors: readonly unknown[];
  }[];
}

export class SyncClient {
  readonly options: SyncClientOptions;
  readonly log: OpLog;
  readonly stats: ClientStats = {
    bytes: 0,
    lines: 0,
    ops: 0,
    checkpoints: 0,
    completes: 0,
    partials: 0,
    checksumFailures: 0,
    keepalives: 0,
  };
  /** The line kinds of the present connection, in order; data lines of one bucket in a row count once. */
  transcript: string[] = [];
  /** The last `checkpoint` line's streams. */
  streams: NonNullable<CheckpointFields['streams']> = [];
  /** Seconds, from the last `token_expires_in`. */
  tokenExpiresIn: number | null = null;
  /** Op id of the last checkpoint that was verified and applied. */
  appliedOpId = 0n;
  appliedWriteCheckpoint: bigint | null = null;
  #checkpoint: Checkpoint | null = null;
  #waiters: (() => void)[] = [];
  #abort: AbortController | null = null;

  constructor(options: SyncClientOptions) {
    this.options = options;
    this.log = new OpLog(options.keepRows ?? true);
  }

  /** Rows of a table by id, as of the last applied checkpoint. Values are the parsed JSON of the row. */
  rows(table: string): ReadonlyMap<string, Record<string, unknown>> {
    return this.log.rows(table);
  }

  /** One connection, until the server ends it or `disconnect` is called. @throws HttpError for any other status than 200 */
  async connect(onLine?: (line: WireLine) => void): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#checkpoint = null;
    this.transcript = [];
    try {
      const response = await this.#open(abort.signal);
      for await (const line of frames(response, this.stats)) {
        this.#receive(line);
        onLine?.(line);
        this.#wake();
      }
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    } finally {
      if (this.#abort === abort) this.#abort = null;
      abort.abort();
      this.#wake();
    }
  }

  disconnect(): void {
    this.#abort?.abort();
  }

  /** Resolves when the condition holds; it is looked at after every line. */
  async until(condition: (client: SyncClient) => boolean, timeoutMs = PATIENCE_MS): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!condition(this)) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`not reached in ${timeoutMs} ms; lines so far: ${this.transcript.join(' ')}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 1000));
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Connects, waits for the condition (default: one applied checkpoint), and disconnects. */
  async sync(condition: (client: SyncClient) => boolean = completedOnce(this), timeoutMs = PATIENCE_MS): Promise<void> {
    const connection = this.connect();
    try {
      await Promise.race([this.until(condition, timeoutMs), connection.then(() => neverEnds(condition(this)))]);
    } finally {
      this.disconnect();
      await connection.catch(() => {});
    }
  }

  /** `GET /write-checkpoint2.json`. */
  async writeCheckpoint(): Promise<bigint> {
    const query = this.options.clientId === undefined ? '' : `?client_id=${encodeURIComponent(this.options.clientId)}`;
    const response = await fetch(`${this.options.endpoint}/write-checkpoint2.json${query}`, {
      headers: { authorization: `Token ${await this.#token()}`, 'content-type': 'application/json' },
    });
    const text = await response.text();
    if (!response.ok) throw new HttpError(response.status, text);
    return BigInt((JSON.parse(text) as { data: { write_checkpoint: string } }).data.write_checkpoint);
  }

  async #token(): Promise<string> {
    const { token } = this.options;
    return typeof token === 'string' ? token : token();
  }

  async #open(signal: AbortSignal): Promise<{ message: IncomingMessage; framing: Framing }> {
    const { options } = this;
    const body = JSON.stringify({
      buckets: this.log.positions(),
      include_checksum: true,
      raw_data: options.rawData ?? true,
      binary_data: true,
      client_id: options.clientId,
      parameters: options.parameters ?? {},
      streams: { include_defaults: options.includeDefaults ?? true, subscriptions: options.subscriptions ?? [] },
    });
    const bson = (options.format ?? 'bson') === 'bson';
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      authorization: `Token ${await this.#token()}`,
      accept: bson ? 'application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8' : 'application/x-ndjson',
      'accept-encoding': options.gzip ? 'gzip' : 'identity',
      'x-user-agent': 'sluice-reference-client',
    };
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = httpRequest(`${options.endpoint}/sync/stream`, { method: 'POST', headers, signal }, resolve);
      outgoing.on('error', reject);
      outgoing.end(body);
    });
    if (message.statusCode !== 200) {
      const parts: Buffer[] = [];
      for await (const part of message) parts.push(part as Buffer);
      throw new HttpError(message.statusCode ?? 0, Buffer.concat(parts).toString());
    }
    const type = message.headers['content-type'] ?? '';
    const expected = bson ? 'application/vnd.powersync.bson-stream' : 'application/x-ndjson';
    if (bson ? type !== expected : !type.startsWith(expected)) throw new Error(`unexpected content type ${type}`);
    return { message, framing: bson ? 'bson' : 'ndjson' };
  }

  #receive(line: WireLine): void {
    const keys = Object.keys(line);
    if (keys.length !== 1) throw new Error(`a line must have one key, not ${keys.join(', ')}`);
    const kind = keys[0] as string;
    this.stats.lines++;
    this.#note(kind, line[kind]);
    switch (kind) {
      case 'checkpoint':
        return this.#startCheckpoint(line[kind] as CheckpointFields);
      case 'checkpoint_diff':
        return this.#changeCheckpoint(line[kind] as CheckpointFields);
      case 'data':
        return this.#receiveData(line[kind] as { bucket: string; data: readonly WireOp[] });
      case 'partial_checkpoint_complete':
        this.stats.partials++;
        return this.#complete((line[kind] as { priority: number }).priority);
      case 'checkpoint_complete':
        this.stats.completes++;
        return this.#complete(null);
      case 'token_expires_in':
        this.stats.keepalives++;
        this.tokenExpiresIn = line[kind] as number;
        return;
      default:
        throw new Error(`unknown line ${kind}`);
    }
  }

  #note(kind: string, value: unknown): void {
    let entry = kind;
    if (kind === 'data') entry = `data(${(value as { bucket: string }).bucket})`;
    if (kind === 'partial_checkpoint_complete') entry = `partial(${(value as { priority: number }).priority})`;
    if (entry !== this.transcript.at(-1) || kind !== 'data') this.transcript.push(entry);
  }

  #startCheckpoint(line: CheckpointFields): void {
    this.stats.checkpoints++;
    this.#checkpoint = {
      lastOpId: opId(line.last_op_id),
      writeCheckpoint: line.write_checkpoint === undefined ? null : opId(line.write_checkpoint),
      buckets: new Map(line.buckets.map((bucket) => [bucket.bucket, bucket])),
    };
    this.streams = line.streams ?? [];
    this.log.retain(this.#checkpoint.buckets);
  }

  #changeCheckpoint(line: CheckpointFields): void {
    const checkpoint = this.#checkpoint;
    if (checkpoint === null) throw new Error('checkpoint_diff before any checkpoint');
    this.stats.checkpoints++;
    const lastOpId = opId(line.last_op_id);
    if (lastOpId < checkpoint.lastOpId) throw new Error('a checkpoint went back');
    checkpoint.lastOpId = lastOpId;
    checkpoint.writeCheckpoint = line.write_checkpoint === undefined ? null : opId(line.write_checkpoint);
    for (const bucket of line.updated_buckets) checkpoint.buckets.set(bucket.bucket, bucket);
    for (const bucket of line.removed_buckets) {
      if (!checkpoint.buckets.delete(bucket)) throw new Error(`removed bucket ${bucket} was not there`);
    }
    this.log.retain(checkpoint.buckets);
  }

  #receiveData(line: { bucket: string; data: readonly WireOp[] }): void {
    const checkpoint = this.#checkpoint;
    if (checkpoint === null) throw new Error('data before any checkpoint');
    if (!checkpoint.buckets.has(line.bucket))
      throw new Error(`data for ${line.bucket}, which is not in the checkpoint`);
    if (line.data.length === 0) throw new Error('an empty data line');
    this.stats.ops += line.data.length;
    this.options.register?.note(line.bucket, line.data);
    this.log.append(line.bucket, line.data, checkpoint.lastOpId);
  }

  #complete(priority: number | null): void {
    const checkpoint = this.#checkpoint;
    if (checkpoint === null) throw new Error('complete before any checkpoint');
    const scope = [...checkpoint.buckets.values()].filter((bucket) => priority === null || bucket.priority <= priority);
    const failed = this.log.verify(scope);
    if (failed.length > 0) {
      this.stats.checksumFailures += failed.length;
      throw new Error(`checksum mismatch in ${failed.join(', ')}`);
    }
    this.log.apply(scope, checkpoint.lastOpId);
    if (priority !== null) return;
    this.appliedOpId = checkpoint.lastOpId;
    if (checkpoint.writeCheckpoint !== null) this.appliedWriteCheckpoint = checkpoint.writeCheckpoint;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

function completedOnce(client: SyncClient): () => boolean {
  const before = client.stats.completes;
  return () => client.stats.completes > before;
}

function neverEnds(reached: boolean): void {
  if (!reached) throw new Error('the server ended the stream');
}

function opId(value: unknown): bigint {
  if (typeof value !== 'string' || !/^\d+$/.test(value)) throw new Error(`an op id must be decimal text: ${value}`);
  return BigInt(value);
}

/** Each part is a turn of the event loop, which the load and other clients share: with Node's 16 KiB a gzip client starves. */
const GUNZIP_BYTES = 512 * 1024;

async function* frames(
  response: { message: IncomingMessage; framing: Framing },
  stats: ClientStats,
): AsyncGenerator<WireLine> {
  const { message, framing } = response;
  message.on('data', (part: Buffer) => {
    stats.bytes += part.length;
  });
  const gzip = message.headers['content-encoding'] === 'gzip';
  const body = gzip ? message.pipe(createGunzip({ chunkSize: GUNZIP_BYTES })) : message;
  if (gzip) message.on('error', (error) => body.destroy(error));
  yield* framing === 'bson' ? readBsonDocuments(body) : readJsonLines(body);
}

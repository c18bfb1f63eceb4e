/** A served application over the in-memory storage, for tests of the HTTP side: real sockets, no source, no replication. */
import { createSecretKey } from 'node:crypto';
import {
  type Clock,
  limits,
  type Logger,
  putOp,
  silentLogger,
  noFailpoints,
  systemClock,
  systemRandom,
} from '@sluice/core';
import { type BucketStorage, createMemoryStorage, type StreamWriter } from '@sluice/storage';
import { SignJWT } from 'jose';
import { App } from '../app.ts';
import { type Config, SNAPSHOT_DEFAULT } from '../config/resolve.ts';

export const RULES = `bucket_definitions:
  g:
    data:
      - SELECT id, value FROM t
  own:
    parameters: SELECT request.user_id() AS user_id
    data:
      - SELECT id, value FROM o WHERE owner = bucket.user_id
`;
const SECRET = Buffer.alloc(32, 7);
export const OPERATOR = 'the-operator-token-of-the-tests';

export class HttpWorld {
  readonly storage: BucketStorage;
  readonly app: App;
  head = '00000000';
  readonly #source: { failure: Error | null };
  #writer: StreamWriter | null = null;
  #position = 0;
  #tableId = 0;
  #stopped = false;

  private constructor(storage: BucketStorage, app: App, source: { failure: Error | null }) {
    this.storage = storage;
    this.app = app;
    this.#source = source;
  }

  static async start(
    change: { config?: Partial<Config>; clock?: Clock; logger?: Logger; active?: boolean } = {},
  ): Promise<HttpWorld> {
    const storage = createMemoryStorage();
    const source = { failure: null as Error | null };
    const positions = { head: '00000000' };
    const app = await App.create({
      config: { ...baseConfig(), ...change.config },
      storage,
      source: {
        head: async () => {
          if (source.failure !== null) throw source.failure;
          return positions.head;
        },
        marker: async () => {},
        bytesBetween: () => 0,
      },
      createSource: () => {
        throw new Error('this world has no source');
      },
      role: 'serve',
      clock: change.clock ?? systemClock,
      random: systemRandom,
      failpoints: noFailpoints,
      logger: change.logger ?? silentLogger,
      version: '0.0.0-test',
    });
    const world = new HttpWorld(storage, app, source);
    if (change.active !== false) await world.#activate();
    await app.start();
    if (change.active !== false) await world.#served();
    return world;
  }

  get url(): string {
    return this.app.url;
  }

  async #activate(): Promise<void> {
    const stream = await this.storage.createStream(RULES, 0);
    const writer = await this.storage.openWriter(stream.id, 'test');
    const columns = [{ name: 'id', type: 'text', typeId: 25, typeModifier: -1, key: true }];
    const relation = { sourceId: '1', connectionTag: 'default', schema: 'public', name: 't', columns };
    const table = await writer.addTable({ ...relation, replicaIdentity: 'default' }, [0]);
    this.#tableId = table.id;
    await writer.planTable(table, { hash: '', strategy: '' }, []);
    await writer.markTableSnapshotDone(table.id, table.generation, '00000000');
    await writer.markAllSnapshotDone('00000000');
    await this.storage.activate(stream.id);
    this.#writer = writer;
    await this.commit([]);
  }

  async #served(): Promise<void> {
    for (let turn = 0; turn < 1000; turn++) {
      const { status } = await fetch(`${this.url}/probes/readiness`);
      if (status === 200) return;
    }
    throw new Error('the world did not become ready');
  }

  /** Puts rows into buckets, as one source transaction. `bucket` without the stream's prefix. */
  async commit(rows: readonly { bucket: string; id: string; data: string }[]): Promise<void> {
    const writer = this.#writer as StreamWriter;
    const position = String(++this.#position).padStart(8, '0');
    const writes = rows.map(({ bucket, id, data }) => ({
      tableId: this.#tableId,
      key: `${bucket}/${id}`,
      bucket,
      id,
      data,
    }));
    if (writes.length > 0) {
      const evaluate = (write: (typeof writes)[number]) => ({
        record: new Uint8Array([1]),
        ops: [putOp(`1#${write.bucket}`, 't', write.id, write.id, write.data)],
        lookups: [],
        partial: false,
      });
      await writer.flush({ writes, evaluate, boundary: position });
    }
    await writer.commit(position, { createEmpty: true });
  }

  failSource(failure: Error | null): void {
    this.#source.failure = failure;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.app.stop();
  }

  request(path: string, init: RequestInit & { token?: string | null } = {}): Promise<Response> {
    const { token, ...rest } = init;
    const headers = new Headers(init.headers);
    if (token !== null && token !== undefined) headers.set('authorization', `Token ${token}`);
    return fetch(`${this.url}${path}`, { ...rest, headers });
  }

  post(path: string, body: unknown, token: string | null, headers: Record<string, string> = {}): Promise<Response> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.request(path, {
      method: 'POST',
      body: text,
      token,
      headers: { 'content-type': 'application/json', ...headers },
    });
  }
}

function baseConfig(): Config {
  return {
    file: '/etc/sluice.yaml',
    host: '127.0.0.1',
    port: 0,
    connection: { type: 'postgresql' },
    storage: { type: 'lmdb', path: '', mapSizeBytes: null },
    syncRules: null,
    auth: {
      audience: ['tests'],
      keys: [{ kty: 'oct', alg: 'HS256', kid: 'k', k: SECRET.toString('base64url') }],
      jwksUris: [],
      localJwks: true,
      tokenLifetimeSecondsMax: 86_400,
    },
    api: { tokens: ['another-one', OPERATOR] },
    limits: { connections: 100, buckets: limits.bucketsPerConnectionMax, parameterResults: limits.parameterResultsMax },
    snapshot: SNAPSHOT_DEFAULT,
    logLevel: 'error',
    ignoredKeys: [],
  };
}

export function tokenOf(
  sub: string,
  change: { seconds?: number; audience?: string; kid?: string } = {},
): Promise<string> {
  const now = Math.floor(systemClock.now() / 1000);
  const seconds = change.seconds ?? 600;
  return new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', kid: change.kid ?? 'k' })
    .setSubject(sub)
    .setAudience(change.audience ?? 'tests')
    .setIssuedAt(now + Math.min(0, seconds) - 1)
    .setExpirationTime(now + seconds)
    .sign(createSecretKey(SECRET));
}

/** Reads NDJSON lines until `enough` says so, then leaves. */
export async function readLines(
  response: Response,
  enough: (lines: readonly Record<string, unknown>[]) => boolean,
): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  let rest = '';
  const decoder = new TextDecoder();
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return lines;
    const texts = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = texts.pop() ?? '';
    for (const text of texts) lines.push(JSON.parse(text) as Record<string, unknown>);
    if (enough(lines)) {
      await reader.cancel();
      return lines;
    }
  }
}

export function completed(lines: readonly Record<string, unknown>[]): boolean {
  return lines.some((line) => 'checkpoint_complete' in line);
}

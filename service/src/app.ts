/** The object graph of a service, top to bottom. Who wants to know what depends on what reads this file. */
import { hostname } from 'node:os';
import {
  asSluiceError,
  type Clock,
  type Failpoints,
  type Logger,
  type Position,
  type Random,
  SluiceError,
} from '@sluice/core';
import { type EngineStreamFacts, ReplicationEngine } from '@sluice/replication';
import type { BucketStorage, StreamInfo, WriteCheckpoint } from '@sluice/storage';
import { DownloadShare, LineEncoder, type MarkHead, ServedVersions, WriteCheckpoints } from '@sluice/sync';
import { apiTokenCheck } from './auth/api-token.ts';
import { loadKey } from './auth/key.ts';
import { KeyStore, staticKeys } from './auth/key-store.ts';
import { RemoteKeys } from './auth/remote-keys.ts';
import type { AuthConfig, Config } from './config/resolve.ts';
import { Deployer } from './deployer.ts';
import { Authenticator } from './http/auth.ts';
import { ClientConnections } from './http/client-connections.ts';
import { probeRoutes } from './http/routes/probes.ts';
import { snapshotRoutes } from './http/routes/snapshot.ts';
import { statusRoute } from './http/routes/status.ts';
import { syncRulesRoutes } from './http/routes/sync-rules.ts';
import { syncStreamRoute } from './http/routes/sync-stream.ts';
import { writeCheckpointRoutes } from './http/routes/write-checkpoints.ts';
import { createHttpServer, type HttpServer } from './http/server.ts';
import type { SourceFactory } from './registry.ts';
import { dutyOf, replicates, type Role, serves } from './role.ts';
import { compileStreamRules } from './rules.ts';
import { statusDocument, type StatusDocument, type StatusPorts } from './status/model.ts';
import { ProgressWatch } from './status/progress-watch.ts';
import { StorageWatch } from './status/storage-watch.ts';

export interface AppPorts {
  readonly config: Config;
  readonly storage: BucketStorage;
  /** What clients' write checkpoints and the status ask of the source. */
  readonly source: MarkHead & { bytesBetween(from: Position, to: Position): number | null };
  readonly createSource: SourceFactory;
  readonly role: Role;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly failpoints: Failpoints;
  readonly version: string;
}

const DRAIN_MS = 5_000;
/** Sockets for everything that is not a stream. */
const SPARE_SOCKETS = 500;
const RESTART_MS = 1_000;

export class App {
  readonly #ports: AppPorts;
  readonly #http: HttpServer;
  readonly #versions: ServedVersions;
  readonly #engine: ReplicationEngine | null;
  readonly #progress: ProgressWatch;
  readonly #storageWatch: StorageWatch;
  readonly #connections: ClientConnections;
  readonly #deployer: Deployer;
  readonly #status: StatusPorts;
  readonly #stop = new AbortController();
  #loops: Promise<void>[] = [];
  #url = '';

  private constructor(ports: AppPorts, keys: KeyStore) {
    const { config, storage, clock, logger, source } = ports;
    this.#ports = ports;
    this.#deployer = new Deployer({ storage, clock, logger });
    this.#versions = new ServedVersions({ storage, compile: compileStreamRules, clock, logger });
    this.#engine = createEngine(ports);
    const engineFacts = (): readonly EngineStreamFacts[] => this.#engine?.facts() ?? [];
    this.#storageWatch = new StorageWatch(storage, clock);
    this.#progress = new ProgressWatch(clock, () => ({
      served: this.#serving(),
      engine: engineFacts(),
      role: ports.role,
      storageSilentMs: this.#storageWatch.silentMs,
      stopping: this.#stop.signal.aborted,
    }));
    this.#connections = new ClientConnections(config.limits.connections);
    const rules = {
      keys,
      audience: config.auth.audience,
      lifetimeSecondsMax: config.auth.tokenLifetimeSecondsMax,
      clock,
    };
    const authenticator = new Authenticator(rules, apiTokenCheck(config.api.tokens));
    const verdict = () => this.#progress.verdict();

    this.#http = createHttpServer(logger, config.limits.connections + SPARE_SOCKETS);
    const { app } = this.#http;
    if (serves(ports.role)) this.#clientRoutes(authenticator);
    probeRoutes(app, { verdict, clock });
    syncRulesRoutes(app, { deployer: this.#deployer, authenticator, fixed: config.syncRules !== null });
    snapshotRoutes(app, { storage, authenticator, clock });
    this.#status = {
      storage,
      facts: engineFacts,
      verdict,
      notice: () => this.#deployer.notice,
      connections: this.#connections,
      clock,
      version: ports.version,
      role: ports.role,
      startedAtMs: clock.monotonic(),
      bytesBetween: (from, to) => source.bytesBetween(from, to),
    };
    statusRoute(app, { authenticator, status: () => this.status() });
  }

  #clientRoutes(authenticator: Authenticator): void {
    const { config, storage, source, clock, random, logger, failpoints } = this.#ports;
    const { app } = this.#http;
    const onStored = (user: string, newest: WriteCheckpoint) => this.#versions.current?.feed.writeStored(user, newest);
    const writeCheckpoints = new WriteCheckpoints({ storage, source, onStored, clock });
    const shared = { versions: this.#versions, authenticator };
    syncStreamRoute(app, {
      ...shared,
      connections: this.#connections,
      clock,
      random,
      logger,
      limits: config.limits,
      downloads: new DownloadShare(),
      encoder: new LineEncoder(),
      failpoints,
    });
    writeCheckpointRoutes(app, { ...shared, writeCheckpoints });
  }

  /** @throws SLU_C0008 for a key that cannot be used */
  static async create(ports: AppPorts): Promise<App> {
    return new App(ports, await loadKeys(ports.config.auth, ports));
  }

  get url(): string {
    return this.#url;
  }

  status(): Promise<StatusDocument> {
    return statusDocument(this.#status);
  }

  /** Id of the stream that clients are served from. */
  #serving(): number | null {
    const current = this.#versions.current;
    return current === null || current.feed.checkpoint === null ? null : current.stream.id;
  }

  /**
   * Listens, and does from then on what its role is. Who replicates deploys the configured rules first; those of a
   * process that only serves may be older.
   * @throws SLU_C0006
   */
  async start(): Promise<void> {
    const { config, logger, role } = this.#ports;
    if (replicates(role)) await this.#deployer.ensure(processName(config), config.syncRules?.content ?? null);
    this.#url = await listen(this.#http, config);
    if (serves(role)) this.#keepRunning('serving', (signal) => this.#versions.run(signal));
    this.#keepRunning('watching storage', (signal) => this.#storageWatch.run(signal));
    this.#keepRunning('watching progress', (signal) => this.#progress.run(signal));
    const engine = this.#engine;
    if (engine !== null) this.#keepRunning('replicating', (signal) => engine.run(signal));
    logger.info({ url: this.#url, role }, 'Listening');
  }

  /** What ends by an error, though nobody stopped it, is begun again. */
  #keepRunning(what: string, run: (signal: AbortSignal) => Promise<void>): void {
    const { clock, logger } = this.#ports;
    const { signal } = this.#stop;
    const loop = async () => {
      while (!signal.aborted) {
        try {
          await run(signal);
        } catch (thrown) {
          if (signal.aborted) return;
          const { code, message } = asSluiceError(thrown);
          logger.error({ code, err: thrown }, `${what} broke off and is begun again: ${message}`);
        }
        if (!signal.aborted) await clock.sleep(RESTART_MS, signal).catch(() => {});
      }
    };
    this.#loops.push(loop());
  }

  /** Refuses new work, ends streams in order, gives leases back. */
  async stop(): Promise<void> {
    const { clock, logger } = this.#ports;
    logger.info({ clients: this.#connections.size }, 'Shutting down');
    this.#http.drain();
    this.#stop.abort(new SluiceError('PSYNC_S2003', 'the service is shutting down'));
    const deadline = clock.monotonic() + DRAIN_MS;
    while (this.#connections.size > 0 && clock.monotonic() < deadline) await clock.sleep(20);
    this.#connections.endAll(new SluiceError('PSYNC_S2003', 'the service is shutting down'));
    await Promise.all(this.#loops);
    await this.#http.app.close();
    await this.#ports.storage.close();
    logger.info({}, 'Stopped');
  }
}

function createEngine(ports: AppPorts): ReplicationEngine | null {
  const { createSource, config, storage, clock, random, logger } = ports;
  const duty = dutyOf(ports.role);
  if (duty === null) return null;
  return new ReplicationEngine({
    duty,
    storage,
    createSource: (stream) => createSource(slotName(config, stream)),
    compileRules: compileStreamRules,
    clock,
    random,
    logger,
    owner: `sluice ${ports.version}, process ${process.pid} on ${hostname()}`,
    concurrency: config.snapshot.concurrency,
    throttle: config.snapshot.throttle,
  });
}

/** The same at every start on one machine, or in one container. */
function processName(config: Config): string {
  return `${hostname()} ${config.file}`;
}

/** Unlike the slots of other storages on the same source, and the same at every attempt. */
function slotName(config: Config, stream: StreamInfo): string {
  return `${config.connection.slot_name ?? 'sluice'}_${stream.id}_${stream.createdAtMs.toString(36)}`;
}

async function loadKeys(auth: AuthConfig, ports: AppPorts): Promise<KeyStore> {
  const keys = await Promise.all(
    auth.keys.map((jwk, index) =>
      loadKey(
        jwk,
        `client_auth.jwks.keys[${index}]${jwk.kid === undefined ? '' : ` (kid ${JSON.stringify(jwk.kid)})`}`,
      ),
    ),
  );
  const { clock, logger } = ports;
  const remote = auth.jwksUris.map((uri) => new RemoteKeys({ uri, localAllowed: auth.localJwks, clock, logger }));
  return new KeyStore([staticKeys(keys), ...remote]);
}

async function listen({ app }: HttpServer, config: Config): Promise<string> {
  try {
    await app.listen({ host: config.host, port: config.port });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SluiceError('SLU_C0006', `port ${config.port} of ${config.host} cannot be listened on: ${code}`, {
      cause,
    });
  }
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : config.port;
  return `http://${config.host === '0.0.0.0' ? '127.0.0.1' : config.host}:${port}`;
}

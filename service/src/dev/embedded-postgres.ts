/**
 * A real Postgres from npm, for people who have none at hand: `npm start` on a bare checkout, and every test.
 *
 * Its life ends with ours: on an orderly stop, when this process exits, and, through a small watcher process that waits
 * on a pipe from us, even when this process is killed. What is then left in the directory is recovered at the next start.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chown, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { type Clock, type Logger, SluiceError } from '@sluice/core';
import { findPostgresBinaries, findRunAs, type PostgresBinaries, type RunAs } from './postgres-binaries.ts';
import { findPlace } from './postgres-place.ts';
import { copyOfTemplate, keepAsTemplate } from './postgres-template.ts';

export interface EmbeddedPostgresOptions {
  /** Data directory; filled by initdb if it is empty or missing. Root may be given another: see postgres-place.ts. */
  readonly directory: string;
  /** TCP port on 127.0.0.1; 0 or left out: a free one. */
  readonly port?: number;
  /** Superuser `postgres`, set when the directory is filled. */
  readonly password: string;
  /** Further settings of the server (`postgresql.conf` names), above our defaults. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Removes the directory when the server ends, however it ends. For tests. */
  readonly disposable?: boolean;
  /** Filled directories are copies of this one; the first one makes it. All of them say that they are the same cluster. */
  readonly template?: string;
  /** Directory of `initdb` and `postgres`, for another version than the one from npm. */
  readonly binDirectory?: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** `fast` ends sessions in order; `immediate` crashes the server in order; `kill` is SIGKILL to the postmaster. */
export type StopKind = 'fast' | 'immediate' | 'kill';

export interface EmbeddedPostgres {
  readonly port: number;
  /** Directory of the unix socket; equal to the data directory in use. */
  readonly socketDirectory: string;
  uri(database: string): string;
  /** Resolves when the server is down, and its directory removed if it is disposable. Idempotent. */
  stop(kind?: StopKind): Promise<void>;
  /** Stops if need be, and starts on the same port and directory. */
  restart(kind?: StopKind): Promise<void>;
}

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 20_000;
const FREE_PORT_ATTEMPTS = 3;
const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT', kill: 'SIGKILL' } as const;

/** Shell words of the watcher: waits until the server has gone, ten seconds at most, and removes its directory. */
const REMOVE = 'for i in $(seq 100); do [ -e "$1/postmaster.pid" ] || break; sleep 0.1; done; rm -rf "$1"';

const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '20',
  max_connections: '60',
  shared_buffers: '64MB',
  listen_addresses: '127.0.0.1',
  lc_messages: 'C',
  logging_collector: 'off',
};

/** @throws SLU_C0007 with the server's own words if it does not come up */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const runAs = await findRunAs();
  const wanted = {
    directory: resolve(options.directory),
    binaries: await findPostgresBinaries(options.binDirectory),
  };
  const { directory, binaries } = await findPlace(wanted, runAs, options.logger);
  await fillDirectory({ ...options, directory }, binaries, runAs);
  const start = async (port: number) => {
    const server = new Server({ ...options, directory }, port, { binaries, runAs });
    await server.start();
    return server;
  };
  if (options.port !== undefined && options.port !== 0) return start(options.port);
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      // Between our finding a free port and the server's binding it, another process may have taken it.
      const taken = error instanceof SluiceError && error.message.includes('could not bind');
      if (!taken || attempt === FREE_PORT_ATTEMPTS) throw error;
    }
  }
}

async function fillDirectory(
  options: EmbeddedPostgresOptions,
  binaries: PostgresBinaries,
  runAs: RunAs,
): Promise<void> {
  const { directory, template } = options;
  if ((await readdir(directory)).length > 0) return;
  if (template !== undefined && (await copyOfTemplate(template, directory))) return;
  const passwordFile = `${directory}.password`;
  await writeFile(passwordFile, options.password, { mode: 0o600 });
  if (runAs.uid !== undefined) await chown(passwordFile, runAs.uid, runAs.gid ?? runAs.uid);
  try {
    const flags = ['-D', directory, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--no-sync'];
    // The locale that is built into Postgres since 17 is the same on every machine.
    const builtin = ['--locale-provider=builtin', '--locale=C.UTF-8', '--lc-collate=C', '--lc-ctype=C'];
    const locale = options.binDirectory === undefined ? builtin : ['--locale=C'];
    await run(binaries.initdb, [...flags, '--encoding=UTF8', ...locale], runAs);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(passwordFile, { force: true });
  }
  if (template !== undefined) await keepAsTemplate(directory, template);
}

function run(command: string, args: readonly string[], runAs: RunAs): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { ...runAs, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.once('error', (cause) => fail(new SluiceError('SLU_C0007', cause.message, { cause })));
    child.once('close', (code) => {
      if (code === 0) done();
      else fail(new SluiceError('SLU_C0007', `initdb failed: ${errors.trim()}`));
    });
  });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done, fail) => {
    probe.once('error', fail);
    probe.listen(0, '127.0.0.1', done);
  });
  const address = probe.address();
  await new Promise((done) => probe.close(done));
  if (address === null || typeof address === 'string') throw new SluiceError('SLU_C0007', 'no free port was found');
  return address.port;
}

class Server implements EmbeddedPostgres {
  readonly port: number;
  readonly socketDirectory: string;
  readonly #options: EmbeddedPostgresOptions;
  readonly #binaries: PostgresBinaries;
  readonly #runAs: RunAs;
  #process: ChildProcess | null = null;
  #watcher: ChildProcess | null = null;
  #lastWords = '';
  readonly #onExit = () => this.#process?.kill('SIGQUIT');

  constructor(options: EmbeddedPostgresOptions, port: number, how: { binaries: PostgresBinaries; runAs: RunAs }) {
    this.#options = options;
    this.#binaries = how.binaries;
    this.#runAs = how.runAs;
    this.port = port;
    this.socketDirectory = options.directory;
  }

  uri(database: string): string {
    const password = encodeURIComponent(this.#options.password);
    return `postgresql://postgres:${password}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  async start(): Promise<void> {
    if (this.#process !== null) return;
    const { clock } = this.#options;
    const deadline = clock.monotonic() + START_LIMIT_MS;
    await this.#clearStaleLock();
    while (!(await this.#tryStart())) {
      // After a kill, the old server's children hold its shared memory for a moment.
      const words = this.#lastWords;
      if (!words.includes('shared memory block') || clock.monotonic() > deadline) {
        throw new SluiceError('SLU_C0007', `Postgres did not start: ${words.trim()}`, {
          where: this.#options.directory,
        });
      }
      await clock.sleep(100);
    }
    process.once('exit', this.#onExit);
    this.#watch();
  }

  async stop(kind: StopKind = 'fast'): Promise<void> {
    await this.#end(kind);
    // A killed server is one to be started again.
    if (this.#options.disposable !== true || kind === 'kill') return;
    await rm(this.#options.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async restart(kind: StopKind = 'fast'): Promise<void> {
    await this.#end(kind);
    await this.start();
  }

  async #end(kind: StopKind): Promise<void> {
    const child = this.#process;
    if (child !== null) {
      const ended = new Promise((done) => child.once('close', done));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(SIGNALS[kind]);
        const cancel = this.#options.clock.timer(STOP_LIMIT_MS, () => child.kill('SIGQUIT'));
        await ended;
        cancel();
      }
    }
    process.off('exit', this.#onExit);
    this.#watcher?.stdin?.end('stopped\n');
    this.#watcher = null;
    this.#process = null;
  }

  /** Resolves to false if the server ends before it is ready; its words are then in `#lastWords`. */
  #tryStart(): Promise<boolean> {
    const { directory, logger } = this.#options;
    const settings = { ...DEFAULT_SETTINGS, unix_socket_directories: directory, ...this.#options.settings };
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    this.#lastWords = '';
    // Detached: Ctrl-C in a terminal must reach us first, so that we can stop in order.
    const child = spawn(this.#binaries.postgres, ['-D', directory, '-p', String(this.port), ...flags], {
      ...this.#runAs,
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    return new Promise((done, fail) => {
      let ready = false;
      child.stderr?.on('data', (chunk: Buffer) => {
        const text = chunk.toString();
        logger.debug({ server: 'embedded-postgres' }, text.trimEnd());
        if (ready) return;
        this.#lastWords += text;
        ready = /ready to accept (read-only )?connections/.test(text);
        if (ready) done(true);
      });
      child.once('error', (cause) => fail(new SluiceError('SLU_C0007', cause.message, { cause })));
      child.once('close', () => {
        if (this.#process === child) this.#process = null;
        done(false);
      });
    });
  }

  /** A lock file that names no live server of this directory is removed; a live one, left by a killed run, is stopped. */
  async #clearStaleLock(): Promise<void> {
    const { directory, clock, logger } = this.#options;
    const lock = join(directory, 'postmaster.pid');
    const pid = await ownerOf(lock);
    if (pid === null) return;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(missing);
    if (process.platform !== 'linux') return;
    if (command === null || !command.includes(directory)) {
      await rm(lock, { force: true });
      return;
    }
    logger.warn({ pid }, 'a Postgres left by an earlier run is stopped');
    process.kill(pid, 'SIGINT');
    const deadline = clock.monotonic() + STOP_LIMIT_MS;
    while ((await ownerOf(lock)) === pid && clock.monotonic() < deadline) await clock.sleep(50);
  }

  /** The watcher ends when told so, or when our end of its pipe closes: then it stops the server that we left behind. */
  #watch(): void {
    if (process.platform === 'win32' || this.#process?.pid === undefined) return;
    const { disposable } = this.#options;
    const script = `read -r word; [ "$word" = stopped ] && exit 0; kill -INT "$0" 2>/dev/null; ${disposable === true ? REMOVE : ':'}`;
    const watcher = spawn('/bin/sh', ['-c', script, String(this.#process.pid), this.#options.directory], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    watcher.once('error', (error) => this.#options.logger.warn({ error: error.message }, 'no watcher for Postgres'));
    watcher.stdin?.on('error', (error) => this.#options.logger.debug({ error: error.message }, 'the watcher is gone'));
    watcher.unref();
    this.#watcher = watcher;
  }
}

async function ownerOf(lock: string): Promise<number | null> {
  const text = await readFile(lock, 'utf8').catch(missing);
  if (text === null) return null;
  const pid = Number.parseInt(text, 10);
  return pid > 1 ? pid : null;
}

function missing(error: unknown): null {
  if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
  throw error;
}

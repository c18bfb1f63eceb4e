/**
 * The real service as a child process: its own configuration file, port and storage (SLUICE_TEST_STORAGE=postgresql puts
 * it into a schema of its own beside the source's tables, else it is a directory of LMDB's); started, killed without
 * warning and started again on the same storage. Ends only what it started.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { silentLogger, systemClock, systemRandom } from '@sluice/core';
import type { BucketStorage } from '@sluice/storage';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { openPostgresStorage } from '@sluice/storage-postgres';
import { SignJWT } from 'jose';
import { PATIENCE_MS } from './patience.ts';
import type { TestUser } from './rules.ts';
import { PROGRAM } from '../../service/src/dev/program.ts';

/** As `bin/sluice.mjs` does. */
const HEAP_FLAGS = ['--max-semi-space-size=32'];
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SECRET = Buffer.from('a secret that only tests share, 32 bytes or more');
const KEY_ID = 'test-key';

export const AUDIENCE = 'https://tests.example.org';
export const ADMIN_TOKEN = 'operators-of-the-tests';

export interface ServiceOptions {
  readonly sourceUri: string;
  readonly rules: string;
  /** Where buckets are kept that are kept in Postgres. Default: the source's own database. */
  readonly storageUri?: string;
  /** More keys of the source's connection (`slot_name`, …). */
  readonly connection?: Readonly<Record<string, unknown>>;
  /** Replaces or adds keys at the top of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Default: `all`, without the option being given. */
  readonly role?: 'all' | 'replicate' | 'serve' | 'copy';
  /** The whole configuration file, where a test writes it itself. */
  readonly configText?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** For Node itself: `--cpu-prof`, `--max-old-space-size=…`. */
  readonly nodeFlags?: readonly string[];
}

type StorageKeys =
  | { readonly type: 'lmdb'; readonly path: string }
  | { readonly type: 'postgresql'; readonly uri: string; readonly sslmode: 'disable'; readonly schema: string };

export interface ServiceExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class ServiceProcess {
  readonly url: string;
  readonly directory: string;
  readonly storagePath: string;
  #options: ServiceOptions;
  readonly #storageSchema = `sluice_${randomBytes(4).toString('hex')}`;
  readonly #port: number;
  #child: ChildProcess | null = null;
  #exit: Promise<ServiceExit> = Promise.resolve({ code: null, signal: null });
  #exited = true;
  #output = '';
  /** `name:times`; the next start is to die there. Null for none. */
  failpoint: string | null = null;

  private constructor(options: ServiceOptions, directory: string, port: number) {
    this.#options = options;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.directory = directory;
    this.storagePath = join(directory, 'storage');
  }

  /** Writes the configuration; starts nothing. */
  static async prepare(options: ServiceOptions): Promise<ServiceProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-service-'));
    const service = new ServiceProcess(options, directory, await freePort());
    await writeFile(service.configPath, options.configText ?? service.#configuration());
    return service;
  }

  /** Prepares, starts, and waits until the service answers. */
  static async start(options: ServiceOptions): Promise<ServiceProcess> {
    const service = await ServiceProcess.prepare(options);
    await service.start();
    return service;
  }

  get configPath(): string {
    return join(this.directory, 'sluice.yaml');
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** All that was printed, by all incarnations. */
  get output(): string {
    return this.#output;
  }

  /** How the newest incarnation ended. */
  get exit(): Promise<ServiceExit> {
    return this.#exit;
  }

  get running(): boolean {
    return !this.#exited;
  }

  /** For the configuration of other processes on the same storage. */
  get storage(): StorageKeys {
    if (process.env['SLUICE_TEST_STORAGE'] !== 'postgresql') return { type: 'lmdb', path: this.storagePath };
    // By default what storage writes must not come back as changes.
    const uri = this.#options.storageUri ?? this.#options.sourceUri;
    return { type: 'postgresql', uri, sslmode: 'disable', schema: this.#storageSchema };
  }

  /** The storage itself, for a look while the service is dead. The caller closes it. */
  async openStorage(): Promise<BucketStorage> {
    const tools = { clock: systemClock, random: systemRandom, logger: silentLogger };
    const keys = this.storage;
    return keys.type === 'lmdb' ? openLmdbStorage({ ...tools, path: keys.path }) : openPostgresStorage(keys, tools);
  }

  #configuration(): string {
    // JSON is YAML.
    const configuration = {
      replication: {
        connections: [
          { type: 'postgresql', uri: this.#options.sourceUri, sslmode: 'disable', ...this.#options.connection },
        ],
      },
      storage: this.storage,
      port: this.#port,
      sync_rules: { content: this.#options.rules },
      client_auth: {
        audience: [AUDIENCE],
        jwks: { keys: [{ kty: 'oct', alg: 'HS256', kid: KEY_ID, k: SECRET.toString('base64url') }] },
      },
      api: { tokens: [ADMIN_TOKEN] },
      ...this.#options.config,
    };
    return JSON.stringify(configuration, null, 2);
  }

  /** Starts the process without waiting for anything. */
  spawn(): void {
    const role = this.#options.role === undefined ? [] : ['--role', this.#options.role, '--port', `${this.#port}`];
    const child = spawn(
      process.execPath,
      [...HEAP_FLAGS, ...(this.#options.nodeFlags ?? []), ...PROGRAM, 'start', '--config', this.configPath, ...role],
      { cwd: ROOT, env: this.#environment(), stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#child = child;
    this.#exited = false;
    const collect = (chunk: Buffer) => {
      this.#output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    process.once('exit', killNow);
    this.#exit = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        this.#exited = true;
        process.removeListener('exit', killNow);
        resolve({ code, signal });
      });
    });
    function killNow() {
      child.kill('SIGKILL');
    }
  }

  /** Another command of the same program with the same configuration. @returns what it printed; throws if it failed */
  command(name: string, ...args: readonly string[]): Promise<string> {
    const command = [...PROGRAM, name, '--config', this.configPath, ...args];
    return new Promise((resolve, reject) => {
      execFile(process.execPath, command, { cwd: ROOT }, (error, out) =>
        error === null ? resolve(out) : reject(error),
      );
    });
  }

  /** For the next start. */
  async replaceRules(rules: string): Promise<void> {
    this.#options = { ...this.#options, rules };
    await writeFile(this.configPath, this.#configuration());
  }

  #environment(): NodeJS.ProcessEnv {
    const failpoint = this.failpoint === null ? {} : { SLUICE_TEST_FAILPOINT: this.failpoint };
    return { ...process.env, ...this.#options.env, ...failpoint };
  }

  async start(timeoutMs = 120_000): Promise<void> {
    this.spawn();
    await this.until('the service answers', async () => (await this.probe('liveness')) !== null, timeoutMs);
  }

  /** Status of a probe; null if nobody answers. */
  async probe(name: 'startup' | 'liveness' | 'readiness'): Promise<number | null> {
    try {
      const response = await fetch(`${this.url}/probes/${name}`);
      await response.body?.cancel();
      return response.status;
    } catch {
      return null;
    }
  }

  async status(): Promise<unknown> {
    const response = await fetch(`${this.url}/api/status`, { headers: { authorization: `Token ${ADMIN_TOKEN}` } });
    if (!response.ok) throw new Error(`/api/status: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Polls until the condition holds; throws with the end of the output if it does not, or the service dies. */
  async until(what: string, holds: () => Promise<boolean> | boolean, timeoutMs = PATIENCE_MS): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      if (await holds()) return;
      if (this.#exited) throw new Error(`the service ended before ${what}\n${this.#output.slice(-4000)}`);
      if (performance.now() > deadline)
        throw new Error(`not within ${timeoutMs} ms: ${what}\n${this.#output.slice(-4000)}`);
      await sleep(50);
    }
  }

  /** kill -9: no goodbye. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exit;
  }

  async terminate(): Promise<ServiceExit> {
    this.#child?.kill('SIGTERM');
    return this.#exit;
  }

  /** Ends the process, politely first, and removes its directory. */
  async dispose(): Promise<void> {
    if (!this.#exited) {
      const hard = setTimeout(() => this.#child?.kill('SIGKILL'), 5000);
      await this.terminate();
      clearTimeout(hard);
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}

export interface TokenChanges {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly audience?: string;
  /** Negative: expired that long ago. */
  readonly secondsToLive?: number;
  readonly secret?: Uint8Array;
  readonly keyId?: string;
}

/** A token as the app's own backend would sign it. */
export function tokenFor(user: TestUser, changes: TokenChanges = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const secondsToLive = changes.secondsToLive ?? 3600;
  return new SignJWT({ ...user.claims, ...changes.claims })
    .setProtectedHeader({ alg: 'HS256', kid: changes.keyId ?? KEY_ID })
    .setSubject(user.sub)
    .setAudience(changes.audience ?? AUDIENCE)
    .setIssuedAt(now + Math.min(0, secondsToLive - 60))
    .setExpirationTime(now + secondsToLive)
    .sign(changes.secret ?? SECRET);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

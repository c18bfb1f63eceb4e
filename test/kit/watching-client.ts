/**
 * A reference client that is there from second zero: it keeps asking until the service has something for it, stays
 * connected, reconnects when the service dies, resumes, and keeps copies of what it held at checkpoints, so that each
 * can be compared with the source as it was then.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpError, SyncClient, type SyncClientOptions } from './client.ts';
import { heldRows, tickOf } from './held-rows.ts';
import type { Rows } from './oracle.ts';
import type { TestUser } from './rules.ts';
import { tokenFor } from './service-process.ts';
import { COPY_PATIENCE_MS } from './patience.ts';

export interface Holding {
  readonly atMs: number;
  /** The load's transaction that it must be as of. */
  readonly n: bigint;
  readonly opId: bigint;
  readonly rows: Rows;
}

const RETRY_MS = 100;

export class WatchingClient {
  readonly user: TestUser;
  readonly client: SyncClient;
  readonly holdings: Holding[] = [];
  /** Tick of every completed checkpoint, in order. */
  readonly ticks: bigint[] = [];
  readonly refusals = new Map<string, number>();
  /** What must never happen: a client may be refused or cut off, but not be told nonsense. */
  failure: Error | null = null;
  firstLineAtMs: number | null = null;
  /** Copies are not cheap: after the first, one at most in this time. */
  holdEveryMs = 1000;
  /** Called when a checkpoint has just been completed; what it throws is the client's failure. */
  onComplete: ((client: SyncClient) => void) | null = null;
  #stopping = false;
  #done: Promise<void> = Promise.resolve();

  private constructor(service: { readonly url: string }, user: TestUser, options: Partial<SyncClientOptions>) {
    this.user = user;
    this.client = new SyncClient({ endpoint: service.url, token: () => tokenFor(user), ...options });
  }

  static start(
    service: { readonly url: string },
    user: TestUser,
    options: Partial<SyncClientOptions> = {},
  ): WatchingClient {
    const watching = new WatchingClient(service, user, options);
    watching.#done = watching.#run();
    return watching;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        await this.client.connect((line) => this.#look(line));
      } catch (error) {
        this.#judge(error as Error);
      }
      await sleep(RETRY_MS);
    }
  }

  /** Refusals and broken connections are the service's right while it starts or dies; all else is a finding. */
  #judge(error: Error & { readonly code?: string | undefined }): void {
    const known = error instanceof HttpError ? error.code : isConnectionLoss(error) ? 'connection lost' : undefined;
    if (known === undefined) {
      this.failure ??= error;
      this.#stopping = true;
      return;
    }
    this.refusals.set(known, (this.refusals.get(known) ?? 0) + 1);
  }

  #look(line: Readonly<Record<string, unknown>>): void {
    this.firstLineAtMs ??= performance.now();
    if (!('checkpoint_complete' in line)) return;
    const ticker = this.client.rows('ticker').get('ticker');
    if (ticker === undefined) throw new Error(`${this.user.sub}: a checkpoint without the ticker`);
    const n = BigInt(ticker['n'] as number);
    if (n < (this.ticks.at(-1) ?? 0n)) throw new Error(`${this.user.sub}: went back from ${this.ticks.at(-1)} to ${n}`);
    this.ticks.push(n);
    const last = this.holdings.at(-1);
    if (last === undefined || performance.now() - last.atMs > this.holdEveryMs) this.hold();
    this.onComplete?.(this.client);
  }

  /** Keeps a copy of what the client holds now. Only right after a complete, or when nothing is under way. */
  hold(): Holding {
    const rows = heldRows(this.client);
    const n = tickOf(rows);
    if (n === null) throw new Error(`${this.user.sub} holds no ticker`);
    const holding = { atMs: performance.now(), n, opId: this.client.appliedOpId, rows };
    this.holdings.push(holding);
    return holding;
  }

  /** Resolves when a completed checkpoint has reached the load's transaction `n`. */
  async reach(n: number, timeoutMs = COPY_PATIENCE_MS): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while ((this.ticks.at(-1) ?? -1n) < BigInt(n)) {
      if (this.failure !== null) throw this.failure;
      if (performance.now() > deadline) {
        throw new Error(`${this.user.sub} stands at ${this.ticks.at(-1)} instead of ${n} after ${timeoutMs} ms`);
      }
      await sleep(25);
    }
  }

  /** @throws what the client found wrong, if it did */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.client.disconnect();
    await this.#done;
    if (this.failure !== null) throw this.failure;
  }
}

/** Whether a connection ended as connections may, rather than because the service said something wrong. */
export function isConnectionLoss(error: Error & { readonly code?: string | undefined }): boolean {
  return (
    ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code ?? '') ||
    error.message === 'aborted' ||
    error.message.includes('the response ended in mid-')
  );
}

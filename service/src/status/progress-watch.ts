/**
 * Whether replication is getting anywhere, judged by the source's own head and not by our loops: never green while stuck.
 *
 * Two proofs are wanted, each not older than its bound. Taken in: what is durable here reached the head that the source
 * was asked for separately, or at least moved. Shown: no gate holds commits back, or the copy behind the gate moves.
 */
import type { Clock } from '@sluice/core';
import type { EngineStreamFacts, ReplicatorFacts } from '@sluice/replication';
import { replicates, type Role, serves } from '../role.ts';

export interface Verdict {
  readonly ready: boolean;
  /** Whether it was ready once. */
  readonly started: boolean;
  /** One sentence for people. */
  readonly reason: string;
  /** When the last proof of progress was seen; null if there was none. */
  readonly touchedAtMs: number | null;
}

export interface ServedFacts {
  /** What clients are served from; null if there is nothing yet. */
  readonly served: number | null;
  readonly engine: readonly EngineStreamFacts[];
  /** `serve`: another process replicates, and answers for it. */
  readonly role: Role;
  /** How long storage has not answered. */
  readonly storageSilentMs: number;
  readonly stopping: boolean;
}

const TAKEN_IN_MS = 20_000;
const SHOWN_MS = 60_000;
const STORAGE_SILENT_MS = 20_000;
const SAMPLE_MS = 1_000;

export class ProgressWatch {
  readonly #clock: Clock;
  readonly #facts: () => ServedFacts;
  #stream: number | null = null;
  #takenInAtMs: number | null = null;
  #shownAtMs: number | null = null;
  #work = '';
  #copied = -1;
  #started = false;

  constructor(clock: Clock, facts: () => ServedFacts) {
    this.#clock = clock;
    this.#facts = facts;
  }

  /** Samples every second until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.sample();
      await this.#clock.sleep(SAMPLE_MS, signal).catch(() => {});
    }
  }

  sample(): void {
    const facts = this.#facts();
    const stream = judged(facts);
    if (stream !== this.#stream) this.#startAnew(stream);
    const replicator = facts.engine.find((each) => each.streamId === stream)?.replicator ?? null;
    if (replicator === null) return;
    const now = this.#clock.monotonic();
    if (this.#proveTakenIn(replicator)) this.#takenInAtMs = now;
    if (this.#proveShown(replicator)) this.#shownAtMs = now;
  }

  /** A stream that has just begun to serve is given time to prove itself. */
  #startAnew(stream: number | null): void {
    const now = stream === null ? null : this.#clock.monotonic();
    this.#stream = stream;
    this.#takenInAtMs = now;
    this.#shownAtMs = now;
    this.#work = '';
    this.#copied = -1;
  }

  #proveTakenIn({ stream, health, healthAtMs }: ReplicatorFacts): boolean {
    const work = `${stream.durable} ${stream.changes} ${stream.flushes} ${stream.commits}`;
    const moved = this.#work !== '' && work !== this.#work;
    this.#work = work;
    if (moved) return true;
    const fresh = healthAtMs !== null && this.#clock.now() - healthAtMs < TAKEN_IN_MS / 2;
    return fresh && health !== null && stream.durable !== null && stream.durable >= health.head;
  }

  #proveShown({ stream, snapshot, copy }: ReplicatorFacts): boolean {
    // Others may copy, too.
    const copied = snapshot.rows + snapshot.chunks + (copy?.storedRows ?? 0);
    const moved = this.#copied >= 0 && copied !== this.#copied;
    this.#copied = copied;
    return stream.gate === null || moved;
  }

  verdict(): Verdict {
    const facts = this.#facts();
    if (judged(facts) !== this.#stream) this.sample();
    const reason = this.#doubt(facts);
    if (reason === null) this.#started = true;
    return {
      ready: reason === null,
      started: this.#started,
      reason: reason ?? proof(facts),
      touchedAtMs:
        this.#takenInAtMs === null ? null : this.#clock.now() - (this.#clock.monotonic() - this.#takenInAtMs),
    };
  }

  #doubt(about: ServedFacts): string | null {
    if (about.stopping) return 'the service is shutting down';
    if (about.storageSilentMs > STORAGE_SILENT_MS) {
      return `storage has not answered for ${Math.round(about.storageSilentMs / 1000)} s`;
    }
    if (serves(about.role) && about.served === null) {
      return 'no sync rules are active yet: the first copy is not complete';
    }
    const stream = judged(about);
    const facts = about.engine.find((each) => each.streamId === stream);
    if (facts?.halted === true && facts.error !== null) {
      return `replication halted: [${facts.error.code}] ${facts.error.message}`;
    }
    if (!replicates(about.role) || stream === null || standsBy(facts)) return null;
    const now = this.#clock.monotonic();
    if (this.#takenInAtMs === null || now - this.#takenInAtMs > TAKEN_IN_MS) {
      return `no progress against the source's head is proven for ${ago(this.#takenInAtMs, now)}${because(facts)}`;
    }
    if (this.#shownAtMs === null || now - this.#shownAtMs > SHOWN_MS) {
      return `a gate has held checkpoints back for ${ago(this.#shownAtMs, now)}, and no copy moves behind it`;
    }
    return null;
  }
}

/** The stream whose replication is judged: the one that clients see; without clients, the oldest that is replicated. */
function judged({ role, served, engine }: ServedFacts): number | null {
  if (serves(role)) return served;
  return engine.length === 0 ? null : Math.min(...engine.map((each) => each.streamId));
}

function standsBy(facts: EngineStreamFacts | undefined): boolean {
  return facts?.error?.code === 'PSYNC_S1003';
}

/** What there is to say when there is no doubt. */
function proof(facts: ServedFacts): string {
  if (facts.role === 'copy') return 'another process replicates; this one copies what there is to copy';
  if (!replicates(facts.role)) return 'clients are served; another process replicates';
  const stream = judged(facts);
  if (stream === null) return 'no sync rules are deployed: there is nothing to replicate';
  if (standsBy(facts.engine.find((each) => each.streamId === stream))) {
    return 'standing by: another process replicates';
  }
  return 'replication keeps up with the source';
}

function ago(since: number | null, now: number): string {
  return since === null ? 'as long as this process runs' : `${Math.round((now - since) / 1000)} s`;
}

function because(facts: EngineStreamFacts | undefined): string {
  return facts?.error === null || facts?.error === undefined ? '' : `: [${facts.error.code}] ${facts.error.message}`;
}

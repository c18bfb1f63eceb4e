/**
 * A real source whose deliveries wait at gates that a test opens: transactions of the stream, and chunks of the copy after
 * they were read. So a test decides what is applied first, and how old a chunk is when it arrives.
 */
import type { ChangeSource, ReadTask, TaskChunk } from '@sluice/replication';
import type { StreamEvent } from '@sluice/core';

/** Lets deliveries through one by one, or all. */
export class DeliveryGate {
  #allowed = 0;
  #open: boolean;
  readonly #waiting: (() => void)[] = [];
  readonly #broken = new AbortController();

  constructor(open = false) {
    this.#open = open;
  }

  /** Deliveries that stand before the gate. */
  get waiting(): number {
    return this.#waiting.length;
  }

  open(): void {
    this.#open = true;
    for (const pass of this.#waiting.splice(0)) pass();
  }

  close(): void {
    this.#open = false;
    this.#allowed = 0;
  }

  /** Lets one more through: now, if one is waiting, or the next that comes. */
  letOne(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#allowed = 1;
    else next();
  }

  /** Whoever waits, or comes later, fails: the connection is gone. */
  break(): void {
    this.#broken.abort(new Error('the gate is broken'));
  }

  async pass(own?: AbortSignal): Promise<void> {
    const signal = own === undefined ? this.#broken.signal : AbortSignal.any([own, this.#broken.signal]);
    signal.throwIfAborted();
    if (this.#open) return;
    if (this.#allowed > 0) {
      this.#allowed--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const pass = () => {
        signal.removeEventListener('abort', fail);
        resolve();
      };
      const fail = () => {
        this.#waiting.splice(this.#waiting.indexOf(pass), 1);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', fail, { once: true });
      this.#waiting.push(pass);
    });
  }
}

export interface SourceGates {
  readonly stream: DeliveryGate;
  readonly chunks: DeliveryGate;
  /** Source bytes of a chunk; small, so that a small table has many. */
  readonly chunkBytes: number;
}

export function holdSource(inner: ChangeSource, gates: SourceGates): ChangeSource {
  return {
    preflight: () => inner.preflight(),
    inspect: (stored) => inner.inspect(stored),
    open: (saved) => inner.open(saved),
    stream: (signal) => heldStream(inner, gates, signal),
    acknowledge: (position) => inner.acknowledge(position),
    settle: (signal) => inner.settle(signal),
    discover: (patterns) => inner.discover(patterns),
    planTable: (relation) => inner.planTable(relation),
    splitTask: (task) => inner.splitTask(task),
    readTask: (request) => heldTask(inner, gates, request),
    readRows: (relation, keyColumns, rows) => inner.readRows(relation, keyColumns, rows),
    head: () => inner.head(),
    marker: () => inner.marker(),
    health: () => inner.health(),
    bytesBetween: (from, to) => inner.bytesBetween(from, to),
    teardown: (saved) => inner.teardown(saved),
    close: () => inner.close(),
  };
}

async function* heldStream(
  inner: ChangeSource,
  gates: SourceGates,
  signal: AbortSignal,
): AsyncGenerator<readonly StreamEvent[]> {
  for await (const batch of inner.stream(signal)) {
    for (const part of endingWithTransactions(batch)) {
      await gates.stream.pass(signal);
      yield part;
    }
  }
}

function* endingWithTransactions(batch: readonly StreamEvent[]): Generator<readonly StreamEvent[]> {
  let from = 0;
  for (const [at, { kind }] of batch.entries()) {
    if (kind !== 'commit') continue;
    yield batch.slice(from, at + 1);
    from = at + 1;
  }
  if (from < batch.length) yield batch.slice(from);
}

async function* heldTask(inner: ChangeSource, gates: SourceGates, request: ReadTask): AsyncGenerator<TaskChunk> {
  for await (const chunk of inner.readTask({ ...request, chunkBytes: gates.chunkBytes })) {
    await gates.chunks.pass(request.signal);
    yield chunk;
  }
}

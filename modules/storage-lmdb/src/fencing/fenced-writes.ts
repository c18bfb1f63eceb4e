/**
 * The transactions of one writer: each asserts the right to write first. They run one after the other up to their commit,
 * so that what a flush has read still holds when its transaction begins, and wait for the disk together.
 */
import type { Clock, Failpoints, StreamId } from '@sluice/core';
import { inSlices, type Lane, Serial } from '@sluice/storage';
import { commitVisibly, type Written } from '../atomically.ts';
import { copiesOfOthers } from './copy-writers.ts';
import type { Schema } from '../schema.ts';
import { StreamRows } from '../stream-rows.ts';

/** So often are rows evaluated before their transaction and found to be out of date in it. */
const ATTEMPTS_AHEAD = 3;

export interface FencedWritesContext {
  readonly schema: Schema;
  readonly stream: StreamId;
  readonly clock: Clock;
  readonly failpoints: Failpoints;
  /** Inside each transaction. Throws if the right to write is lost. */
  readonly assertHeld: () => void;
}

/** Rows to be loaded and evaluated one by one, in their order. */
export interface Evaluation {
  readonly count: number;
  readonly apply: (rows: StreamRows, at: number) => void;
}

export interface WriteOptions {
  /** Whether a failure ends the writer. */
  readonly endsWriter?: true;
  /** Default `prompt`. */
  readonly lane?: Lane;
}

export class FencedWrites {
  readonly #context: FencedWritesContext;
  readonly #serial = new Serial();
  /** Why the writer ended: what stands behind a failed flush must not be published. */
  #failure: { readonly error: unknown } | null = null;

  constructor(context: FencedWritesContext) {
    this.#context = context;
  }

  /** One transaction, behind those before it. Resolves when durable. */
  run<T>(work: () => T, options: WriteOptions = {}): Promise<T> {
    return this.#inOrder(() => this.#commit(work), options);
  }

  /**
   * The same, resolving when it is visible: for what is told to nobody outside. Should the machine stop before it is on disk,
   * everything that was stored behind it is gone as well.
   */
  runVisibly<T>(work: () => T): Promise<T> {
    return this.#visibly(async () => (await this.#commit(work)).value);
  }

  /**
   * Evaluates before the transaction, so that nobody waits for it meanwhile; again, if others have copied since then; and
   * in the transaction if that does not end.
   */
  runEvaluated<T>(evaluation: Evaluation, work: (rows: StreamRows) => T, options: WriteOptions = {}): Promise<T> {
    const { schema, stream, clock } = this.#context;
    return this.#inOrder(async () => {
      for (let attempt = 0; attempt < ATTEMPTS_AHEAD; attempt++) {
        schema.root.resetReadTxn();
        const copies = copiesOfOthers(schema, stream);
        const rows = new StreamRows(schema, stream);
        await inSlices(clock, evaluation.count, (at) => evaluation.apply(rows, at));
        rows.seal();
        const { value, durable } = await this.#commit(() =>
          copiesOfOthers(schema, stream) === copies ? { done: work(rows) } : null,
        );
        if (value !== null) return { value: value.done, durable };
      }
      return this.#commit(() => work(this.#evaluated(evaluation)));
    }, options);
  }

  /** Evaluates in the transaction: for writers that cannot tell whether others have written. */
  runEvaluating<T>(evaluation: Evaluation, work: (rows: StreamRows) => T, options: WriteOptions = {}): Promise<T> {
    return this.run(() => work(this.#evaluated(evaluation)), options);
  }

  #evaluated({ count, apply }: Evaluation): StreamRows {
    const rows = new StreamRows(this.#context.schema, this.#context.stream);
    for (let at = 0; at < count; at++) apply(rows, at);
    rows.seal();
    return rows;
  }

  /** Behind everything that was handed in, without asserting anything. */
  async last(work: () => void): Promise<void> {
    await this.#serial.run(() => commitVisibly(this.#context.schema, work), 'patient');
  }

  #commit<T>(work: () => T): Promise<Written<T>> {
    const { schema, assertHeld } = this.#context;
    schema.root.resetReadTxn();
    return commitVisibly(schema, () => {
      assertHeld();
      return work();
    });
  }

  async #inOrder<T>(write: () => Promise<Written<T>>, options: WriteOptions): Promise<T> {
    const { value, durable } = await this.#visibly(write, options);
    this.#context.failpoints.pass('storage.not-durable');
    await durable;
    return value;
  }

  #visibly<T>(write: () => Promise<T>, options: WriteOptions = {}): Promise<T> {
    return this.#serial.run(async () => {
      if (this.#failure !== null) throw this.#failure.error;
      try {
        return await write();
      } catch (error) {
        if (options.endsWriter === true) this.#failure = { error };
        throw error;
      }
    }, options.lane);
  }
}

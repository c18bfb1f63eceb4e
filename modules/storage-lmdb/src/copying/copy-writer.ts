/** Copies beside the stream's writer, in this process or another one. */
import type { Clock, Failpoints, StreamId } from '@sluice/core';
import type { CopyWriter, FlushResult, RowWrite, SnapshotFlush, TaskRef, TaskSplit, TaskState } from '@sluice/storage';
import { Copying } from './copying.ts';
import { assertCopyWriter, type CopyWriterRef, countCopyOfOthers, removeCopyWriter } from '../fencing/copy-writers.ts';
import { FencedWrites } from '../fencing/fenced-writes.ts';
import type { Schema } from '../schema.ts';

export interface CopyWriterContext {
  readonly schema: Schema;
  readonly stream: StreamId;
  readonly ref: CopyWriterRef;
  readonly clock: Clock;
  readonly failpoints: Failpoints;
}

export class LmdbCopyWriter implements CopyWriter {
  readonly claimant: string;
  readonly #context: CopyWriterContext;
  readonly #writes: FencedWrites;
  readonly #copying: Copying;

  constructor(context: CopyWriterContext) {
    const { schema, stream, ref } = context;
    this.#context = context;
    this.claimant = ref.claimant;
    this.#writes = new FencedWrites({ ...context, assertHeld: () => assertCopyWriter(schema, stream, ref) });
    this.#copying = new Copying({
      ...context,
      claimant: ref.claimant,
      writes: this.#writes,
      evaluated: (evaluation, work, options) => this.#writes.runEvaluating(evaluation, work, options),
      onChunk: () => countCopyOfOthers(schema, stream),
    });
  }

  claimTask(task: TaskRef): Promise<TaskState | null> {
    return this.#copying.claimTask(task);
  }

  releaseTask(task: TaskRef): Promise<void> {
    return this.#copying.releaseTask(task);
  }

  flushSnapshot<W extends RowWrite>(flush: SnapshotFlush<W>): Promise<FlushResult> {
    return this.#copying.flushSnapshot(flush);
  }

  splitTask(split: TaskSplit): Promise<boolean> {
    return this.#copying.splitTask(split);
  }

  close(): Promise<void> {
    const { schema, stream, ref } = this.#context;
    return this.#writes.last(() => removeCopyWriter(schema, stream, ref.number));
  }
}

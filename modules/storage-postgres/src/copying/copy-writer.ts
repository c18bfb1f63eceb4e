/** Copies beside the stream's writer, in this process or another one. Publishes nothing, and so wakes nobody. */
import type { CopyWriter, FlushResult, RowWrite, SnapshotFlush, TaskRef, TaskSplit, TaskState } from '@sluice/storage';
import { Copying } from './copying.ts';
import { FencedWrites } from '../fencing/fenced-writes.ts';
import type { WriterContext } from '../writer.ts';

export class PostgresCopyWriter implements CopyWriter {
  readonly claimant: string;
  readonly #writes: FencedWrites;
  readonly #copying: Copying;

  constructor(context: WriterContext) {
    this.claimant = context.fence.claimant;
    const writes = new FencedWrites(context);
    this.#writes = writes;
    this.#copying = new Copying({
      ...context,
      writes,
      evaluated: (work, options) => writes.changeEvaluating(work, options),
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
    return this.#writes.close();
  }
}

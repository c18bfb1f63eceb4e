/**
 * The tasks that this process reads now. Each can be stopped between two chunks, alone or to be cut in two; what becomes
 * of one that failed is decided by whoever started it.
 */
import type { TableState, TaskState } from '@sluice/storage';
import type { QueuedTask } from './copy-order.ts';

export interface RunSignals {
  /** Ends the task between two chunks, with what it has read made durable. */
  readonly stop: AbortSignal;
  /** Ends it at once. */
  readonly signal: AbortSignal;
}

interface TaskRun extends QueuedTask {
  readonly stop: AbortController;
  readonly signal: AbortSignal;
  /** It stops in order to be cut; then it is not begun again before that was tried. */
  splitting: boolean;
  ended: Promise<void>;
}

export interface TaskWork {
  /** Reads the task until it is done, stopped, or behind the stored state. */
  readonly read: (task: QueuedTask, signals: RunSignals) => Promise<'done' | 'again'>;
  /** Called after a read that was stopped for it. */
  readonly split: (task: QueuedTask) => Promise<void>;
  readonly onFailure: (task: QueuedTask, error: unknown, signal: AbortSignal) => Promise<void>;
  /** Called last of all, unless the task is done. */
  readonly release: (task: QueuedTask) => Promise<void>;
  readonly onEnd: () => void;
}

export class TaskRuns {
  readonly #work: TaskWork;
  readonly #runs = new Map<string, TaskRun>();
  /** Tasks that ended here: what was read from storage a moment before may still call them pending. */
  readonly #done = new Set<string>();

  constructor(work: TaskWork) {
    this.#work = work;
  }

  get running(): readonly QueuedTask[] {
    return [...this.#runs.values()];
  }

  get size(): number {
    return this.#runs.size;
  }

  isWaiting(table: TableState, task: TaskState): boolean {
    const name = nameOf({ table, task });
    return task.state === 'pending' && !this.#runs.has(name) && !this.#done.has(name);
  }

  start(queued: QueuedTask, signal: AbortSignal): void {
    const stop = new AbortController();
    const run: TaskRun = { ...queued, stop, signal, splitting: false, ended: Promise.resolve() };
    this.#runs.set(nameOf(run), run);
    run.ended = this.#run(run);
  }

  async #run(run: TaskRun): Promise<void> {
    try {
      const result = await this.#work.read(run, { stop: run.stop.signal, signal: run.signal });
      if (result === 'done') this.#done.add(nameOf(run));
      else if (run.splitting) await this.#work.split(run);
    } catch (error) {
      await this.#work.onFailure(run, error, run.signal);
    }
    if (!this.#done.has(nameOf(run))) await this.#work.release(run);
    this.#runs.delete(nameOf(run));
    this.#work.onEnd();
  }

  /** Asks the tasks that match to stop after the chunk they are at. */
  stopWhere(matches: (queued: QueuedTask) => boolean): void {
    for (const run of this.#runs.values()) if (matches(run)) run.stop.abort(STOPPED);
  }

  /** Asks the newest ones that are beyond `places` to stop. */
  stopBeyond(places: number): void {
    for (const run of [...this.#runs.values()].slice(places)) run.stop.abort(STOPPED);
  }

  stopToSplit(queued: QueuedTask): void {
    const run = this.#runs.get(nameOf(queued));
    if (run === undefined) return;
    run.splitting = true;
    run.stop.abort(STOPPED);
  }

  /** Whether one is stopping to be cut. */
  get isSplitting(): boolean {
    return [...this.#runs.values()].some((run) => run.splitting);
  }

  /** Asks all to stop, and waits until they have. */
  async settled(): Promise<void> {
    this.stopWhere(() => true);
    await Promise.allSettled([...this.#runs.values()].map((run) => run.ended));
  }
}

const STOPPED = new Error('the task was asked to stop');

export function nameOf({ table, task }: QueuedTask): string {
  return `task ${table.id}.${task.index} of generation ${table.generation}`;
}

/**
 * Copied chunks that wait for the stream's row: all that have come when it is their turn are written in one transaction,
 * so that tasks which are read at once share its round trips and its commit.
 */
interface Waiting<C, R> {
  readonly chunk: C;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

export interface ChunkQueueOptions<C, R> {
  /** Chunks of one transaction; the stream waits for it. */
  readonly chunksMax: number;
  /** Answers in order. */
  readonly write: (chunks: readonly C[]) => Promise<readonly R[]>;
  /** Runs a job when it is its turn, or rejects without having run it. */
  readonly inLine: (job: () => Promise<void>) => Promise<void>;
}

export class ChunkQueue<C, R> {
  readonly #options: ChunkQueueOptions<C, R>;
  #waiting: Waiting<C, R>[] = [];
  #isInLine = false;

  constructor(options: ChunkQueueOptions<C, R>) {
    this.#options = options;
  }

  add(chunk: C): Promise<R> {
    const result = new Promise<R>((resolve, reject) => this.#waiting.push({ chunk, resolve, reject }));
    this.#getInLine();
    return result;
  }

  #getInLine(): void {
    if (this.#isInLine || this.#waiting.length === 0) return;
    this.#isInLine = true;
    let hasRun = false;
    const job = () => {
      hasRun = true;
      return this.#writeWaiting();
    };
    this.#options.inLine(job).catch((error: unknown) => {
      if (hasRun) return;
      const waiting = this.#waiting.splice(0);
      this.#isInLine = false;
      for (const { reject } of waiting) reject(error);
    });
  }

  async #writeWaiting(): Promise<void> {
    const { chunksMax, write } = this.#options;
    const taken = this.#waiting.splice(0, chunksMax);
    this.#isInLine = false;
    this.#getInLine();
    try {
      const results = await write(taken.map(({ chunk }) => chunk));
      for (const [index, { resolve }] of taken.entries()) resolve(results[index] as R);
    } catch (error) {
      for (const { reject } of taken) reject(error);
      // Whoever keeps the line is told, too: it may be the end of it.
      throw error;
    }
  }
}

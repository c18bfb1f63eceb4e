/**
 * What the next part of a task will be, for those who must know before it is read: by the plan's estimates, and from the
 * first part on by what the last one was.
 */
import type { TaskState } from '@sluice/storage';

export interface CopiedAmount {
  readonly rows: number;
  readonly bytes: number;
}

export class Forecast {
  #rowsPerByte: number;
  #leftBytes: number;

  constructor({ rowsEstimate, bytesEstimate, bytes }: TaskState) {
    this.#rowsPerByte = rowsEstimate / Math.max(1, bytesEstimate);
    this.#leftBytes = bytesEstimate - bytes;
  }

  /** An estimate that has proven too low says nothing of what is left. */
  of(bytesMax: number): CopiedAmount {
    const bytes = this.#leftBytes > 0 ? Math.min(bytesMax, this.#leftBytes) : bytesMax;
    return { bytes, rows: bytes * this.#rowsPerByte };
  }

  saw({ rows, bytes }: CopiedAmount): void {
    this.#leftBytes -= bytes;
    if (bytes > 0) this.#rowsPerByte = rows / bytes;
  }
}

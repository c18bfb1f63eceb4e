/**
 * How much one read may bring into memory, so that all downloads of a process together stay bounded: slow clients hold
 * what was read for them. Few downloads get full lines; thousands, after a deploy or a restart, get small ones, and none
 * has to wait for another. And the memory itself, which goes from one download to the next.
 */
import { limits } from '@sluice/core';
import { ReadMemory } from '@sluice/storage';

export interface ReadBounds {
  /** Of one read, and so of one line. */
  readonly ops: number;
  readonly bytes: number;
}

/** One download's part. */
export interface Download {
  /** Asked before every read. */
  readonly bounds: () => ReadBounds;
  /** For its reads; cleared before each. */
  readonly memory: ReadMemory;
  /** Gives the part back. */
  readonly end: () => void;
}

const LINE_BYTES_MIN = 32 * 1024;
const MEMORIES_KEPT = 4;

export class DownloadShare {
  readonly #bytesMax: number;
  readonly #free: ReadMemory[] = [];
  #active = 0;

  /** @param bytesMax of op bodies, for all downloads together */
  constructor(bytesMax: number = limits.downloadBytesMax) {
    this.#bytesMax = bytesMax;
  }

  begin(): Download {
    this.#active++;
    const memory = this.#free.pop() ?? new ReadMemory();
    const end = () => {
      this.#active--;
      memory.clear();
      if (this.#free.length < MEMORIES_KEPT) this.#free.push(memory);
    };
    return { bounds: () => this.#bounds(), memory, end };
  }

  #bounds(): ReadBounds {
    const share = Math.floor(this.#bytesMax / Math.max(1, this.#active));
    return {
      ops: limits.dataLineOpsMax,
      bytes: Math.min(limits.dataLineBytesMax, Math.max(LINE_BYTES_MIN, share)),
    };
  }
}

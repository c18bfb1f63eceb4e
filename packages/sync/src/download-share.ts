/**
 * How much one read may bring into memory, so that all downloads of a process together stay bounded: slow clients hold
 * what was read for them. Few downloads get full lines; thousands, after a deploy or a restart, get small ones, and none
 * has to wait for another.
 */
import { limits } from '@sluice/core';

export interface ReadBounds {
  /** Of one read, and so of one line. */
  readonly ops: number;
  readonly bytes: number;
}

const LINE_BYTES_MIN = 32 * 1024;

export class DownloadShare {
  readonly #bytesMax: number;
  #active = 0;

  /** @param bytesMax of op bodies, for all downloads together */
  constructor(bytesMax: number = limits.downloadBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Counts one more download. @returns its end */
  begin(): () => void {
    this.#active++;
    return () => {
      this.#active--;
    };
  }

  bounds(): ReadBounds {
    const share = Math.floor(this.#bytesMax / Math.max(1, this.#active));
    return {
      ops: limits.dataLineOpsMax,
      bytes: Math.min(limits.dataLineBytesMax, Math.max(LINE_BYTES_MIN, share)),
    };
  }
}

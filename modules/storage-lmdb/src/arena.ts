/** Memory for many small values of one flush, cut from few large blocks: LMDB learns each block's address once. */
const BLOCK_BYTES = 1 << 20;

export class Arena {
  #block = Buffer.allocUnsafeSlow(0);
  #used = 0;

  take(bytes: number): Buffer {
    if (this.#used + bytes > this.#block.length) {
      this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += bytes;
    return this.#block.subarray(start, this.#used);
  }
}

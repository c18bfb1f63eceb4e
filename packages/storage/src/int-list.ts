/** Signed 32-bit numbers, added one by one: a list of numbers that the garbage collector need not look through. */
const FIRST_CAPACITY = 64;

export class IntList {
  #values = new Int32Array(FIRST_CAPACITY);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Those that were added are in front; valid until the next is. */
  get values(): Int32Array {
    return this.#values;
  }

  add(value: number): void {
    if (this.#count === this.#values.length) this.#grow();
    this.#values[this.#count++] = value;
  }

  /** Room for `count` more, which are set afterwards. @returns the index of the first */
  extend(count: number): number {
    const first = this.#count;
    while (first + count > this.#values.length) this.#grow();
    this.#count += count;
    return first;
  }

  at(index: number): number {
    return this.#values[index] as number;
  }

  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  #grow(): void {
    const values = new Int32Array(2 * this.#values.length);
    values.set(this.#values);
    this.#values = values;
  }
}

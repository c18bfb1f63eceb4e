/** Where many items stand, most of them one behind the other, in a few large buffers: three numbers each. */
import { type ByteSlab, ByteSpace } from '@sluice/core';

/** One item: a slab's newest is. */
export type Item = Pick<ByteSlab, 'space' | 'start' | 'end'>;

export class Places {
  readonly #spaces: ByteSpace[] = [];
  readonly #spaceOf: number[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  get count(): number {
    return this.#ends.length;
  }

  add({ space, start, end }: Item): void {
    this.#spaceOf.push(this.#numberOf(space));
    this.#starts.push(start);
    this.#ends.push(end);
  }

  replace(at: number, { space, start, end }: Item): void {
    this.#spaceOf[at] = this.#numberOf(space);
    this.#starts[at] = start;
    this.#ends[at] = end;
  }

  #numberOf(space: ByteSpace): number {
    const last = this.#spaces.length - 1;
    return this.#spaces[last] === space ? last : this.#spaces.push(space) - 1;
  }

  space(at: number): ByteSpace {
    return this.#spaces[this.#spaceOf[at] as number] as ByteSpace;
  }

  start(at: number): number {
    return this.#starts[at] as number;
  }

  end(at: number): number {
    return this.#ends[at] as number;
  }

  length(at: number): number {
    return (this.#ends[at] as number) - (this.#starts[at] as number);
  }

  item(at: number): Item {
    return { space: this.space(at), start: this.start(at), end: this.end(at) };
  }

  view(at: number): Uint8Array {
    return this.space(at).view8(this.start(at), this.end(at));
  }
}

/** Bytes that stand alone. */
export function itemOf(bytes: Uint8Array): Item {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { space: new ByteSpace(buffer), start: 0, end: buffer.length };
}

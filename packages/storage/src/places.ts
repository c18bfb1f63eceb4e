/** Where many items stand, most of them one behind the other, in a few large buffers: three numbers each. */
import { type ByteSlab, ByteSpace } from '@sluice/core';
import { IntList } from './int-list.ts';

/** One item: a slab's newest is. */
export type Item = Pick<ByteSlab, 'space' | 'start' | 'end'>;

/** Where items stand that were copied together: where the first started, where each ended, and how much further it is now. */
export interface Run {
  readonly space: ByteSpace;
  readonly count: number;
  readonly from: number;
  readonly ends: Int32Array;
  readonly moved: number;
}

export class Places {
  readonly spaces: ByteSpace[] = [];
  /** Per item, the number of its buffer among `spaces`, and where it stands there. */
  readonly spaceOf = new IntList();
  readonly starts = new IntList();
  readonly ends = new IntList();

  get count(): number {
    return this.ends.count;
  }

  add({ space, start, end }: Item): void {
    this.spaceOf.add(this.#numberOf(space));
    this.starts.add(start);
    this.ends.add(end);
  }

  /** Items one behind the other in one buffer. */
  addRun({ space, from, ends, count, moved }: Run): void {
    const first = this.spaceOf.extend(count);
    this.starts.extend(count);
    this.ends.extend(count);
    this.spaceOf.values.fill(this.#numberOf(space), first, first + count);
    const [startsNow, endsNow] = [this.starts.values, this.ends.values];
    let at = from + moved;
    for (let item = 0; item < count; item++) {
      startsNow[first + item] = at;
      at = (ends[item] as number) + moved;
      endsNow[first + item] = at;
    }
  }

  replace(at: number, { space, start, end }: Item): void {
    this.spaceOf.set(at, this.#numberOf(space));
    this.starts.set(at, start);
    this.ends.set(at, end);
  }

  #numberOf(space: ByteSpace): number {
    const last = this.spaces.length - 1;
    return this.spaces[last] === space ? last : this.spaces.push(space) - 1;
  }

  space(at: number): ByteSpace {
    return this.spaces[this.spaceOf.at(at)] as ByteSpace;
  }

  start(at: number): number {
    return this.starts.at(at);
  }

  end(at: number): number {
    return this.ends.at(at);
  }

  length(at: number): number {
    return this.ends.at(at) - this.starts.at(at);
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

/**
 * Which hashes an index has not. Neighbours share a word, which the first bits of a hash choose, and the last ones set two bits
 * of it; with two entries a word, one of a hundred others seems to be there. What was removed may seem so for ever.
 */
import { hashAt } from './index-entries.ts';
import { ENTRY_BYTES } from './index-limits.ts';

const HASH_BITS = 32;
/** A page of the index has some 300 entries. */
const WORDS_PER_PAGE = 256;
/** Words of a piece of all hashes, which is known or not: a page has several. */
const PIECE_BITS = 5;
const WORD_BITS_MIN = 9;
/** 32 MiB: enough for 20 million entries. Of more it says less. */
const WORD_BITS_MAX = 23;

export class HashFilter {
  readonly #shift: number;
  readonly #words: Int32Array;
  /** Of each piece, whether all its entries are in. */
  readonly #isKnown: Uint8Array;

  constructor(pages: number) {
    const bits = wordBits(pages);
    this.#shift = HASH_BITS - bits;
    this.#words = new Int32Array(2 ** bits);
    this.#isKnown = new Uint8Array(2 ** (bits - PIECE_BITS));
  }

  /** Of a filter for so many pages. */
  static bytesFor(pages: number): number {
    const bits = wordBits(pages);
    return 4 * 2 ** bits + 2 ** (bits - PIECE_BITS);
  }

  get bytes(): number {
    return this.#words.byteLength + this.#isKnown.byteLength;
  }

  /** Whether it says little of so many pages. */
  isTooSmallFor(pages: number): boolean {
    return this.#words.length < 2 ** WORD_BITS_MAX && this.#words.length < (pages * WORDS_PER_PAGE) / 2;
  }

  /** Places of those that may be there. */
  suspects(hashes: Uint32Array): Uint32Array {
    const [shift, words, isKnown] = [this.#shift, this.#words, this.#isKnown];
    const suspects = new Uint32Array(hashes.length);
    let count = 0;
    for (let at = 0; at < hashes.length; at++) {
      const hash = hashes[at] as number;
      const word = hash >>> shift;
      const bits = bitsOf(hash);
      const isNew = ((words[word] as number) & bits) !== bits && isKnown[word >>> PIECE_BITS] === 1;
      if (!isNew) suspects[count++] = at;
    }
    return suspects.subarray(0, count);
  }

  addAll(hashes: Uint32Array): void {
    for (let at = 0; at < hashes.length; at++) this.#add(hashes[at] as number);
  }

  addEntries(view: DataView, from: number, to: number): void {
    for (let at = from; at < to; at += ENTRY_BYTES) this.#add(hashAt(view, at));
  }

  #add(hash: number): void {
    const word = hash >>> this.#shift;
    this.#words[word] = (this.#words[word] as number) | bitsOf(hash);
  }

  /** All entries of these hashes are in now. */
  markKnown(firstHash: number, lastHash: number): void {
    const piece = 2 ** (this.#shift + PIECE_BITS);
    const first = Math.ceil(firstHash / piece);
    const end = Math.floor((lastHash + 1) / piece);
    if (first < end) this.#isKnown.fill(1, first, end);
  }
}

function wordBits(pages: number): number {
  const wanted = Math.ceil(Math.log2(pages * WORDS_PER_PAGE));
  return Math.min(WORD_BITS_MAX, Math.max(WORD_BITS_MIN, wanted));
}

function bitsOf(hash: number): number {
  return (1 << (hash & 31)) | (1 << ((hash >>> 5) & 31));
}

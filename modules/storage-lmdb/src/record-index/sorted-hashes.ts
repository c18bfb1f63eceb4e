/** Hashes sorted by their digits: a fraction of what a sort by comparison costs, and equal ones stay as they stood. */
const DIGIT_BITS = 11;
const DIGIT_VALUES = 2 ** DIGIT_BITS;

export interface SortedHashes {
  readonly hashes: Uint32Array;
  /** Where each of them stood. */
  readonly order: Uint32Array;
}

export function sortedHashes(unsorted: Uint32Array): SortedHashes {
  const [first, second] = [spaceFor(unsorted.length), spaceFor(unsorted.length)];
  first.hashes.set(unsorted);
  for (let at = 0; at < unsorted.length; at++) first.order[at] = at;
  sortByDigit(first, second, 0);
  sortByDigit(second, first, DIGIT_BITS);
  sortByDigit(first, second, 2 * DIGIT_BITS);
  return second;
}

function spaceFor(count: number): SortedHashes {
  return { hashes: new Uint32Array(count), order: new Uint32Array(count) };
}

/** Of each digit, how many there are; then where the next of them belongs. */
const places = new Int32Array(DIGIT_VALUES);

function sortByDigit(from: SortedHashes, to: SortedHashes, shift: number): void {
  const { hashes, order } = from;
  const { hashes: sorted, order: sortedOrder } = to;
  const count = hashes.length;
  places.fill(0);
  for (let at = 0; at < count; at++) {
    const digit = ((hashes[at] as number) >>> shift) & (DIGIT_VALUES - 1);
    places[digit] = (places[digit] as number) + 1;
  }
  let begin = 0;
  for (let digit = 0; digit < DIGIT_VALUES; digit++) {
    const size = places[digit] as number;
    places[digit] = begin;
    begin += size;
  }
  for (let at = 0; at < count; at++) {
    const hash = hashes[at] as number;
    const digit = (hash >>> shift) & (DIGIT_VALUES - 1);
    const place = places[digit] as number;
    places[digit] = place + 1;
    sorted[place] = hash;
    sortedOrder[place] = order[at] as number;
  }
}

/** What programs of vector instructions escape JSON text with, eight bytes at a time. */

const ARRANGEMENT_BYTES = 16;

/** For each set of eight bytes, as bits, what becomes of them: their indices, and 8, a backslash, before each of the set. */
export function escapeArrangements(): Uint8Array {
  const table = new Uint8Array(256 * ARRANGEMENT_BYTES);
  for (let set = 0; set < 256; set++) {
    let at = set * ARRANGEMENT_BYTES;
    for (let index = 0; index < 8; index++) {
      if (((set >> index) & 1) === 1) table[at++] = 8;
      table[at++] = index;
    }
  }
  return table;
}

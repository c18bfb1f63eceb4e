/**
 * JSON as text inside of JSON: every few bytes stands a quote. Looking for the next byte that needs an escape costs more
 * than looking up every pair of bytes: a table says what becomes of it, and no branch has to be guessed.
 */
import { type ByteSpace, copyEscaped } from '@sluice/core';

const PAIRS = 1 << 16;
const [SPACE, QUOTE, BACKSLASH] = [0x20, 0x22, 0x5c];

/** What a pair of bytes, the first one lowest, becomes, the first byte lowest. */
const ESCAPED = new Int32Array(PAIRS);
/** How many bytes that are; zero for pairs with a control character, which JSON of rows hardly ever has. */
const LENGTHS = new Uint8Array(PAIRS);

for (let pair = 0; pair < PAIRS; pair++) {
  const bytes = [pair & 0xff, pair >> 8];
  if (bytes.some((byte) => byte < SPACE)) continue;
  const escaped = bytes.flatMap((byte) => (byte === QUOTE || byte === BACKSLASH ? [BACKSLASH, byte] : [byte]));
  LENGTHS[pair] = escaped.length;
  ESCAPED[pair] = escaped.reduce((word, byte, at) => word | (byte << (8 * at)), 0);
}

/** As `copyEscaped`, and faster where escapes are many. @returns where it ends */
export function copyEscapedJson(source: ByteSpace, from: number, to: number, target: ByteSpace, at: number): number {
  const { view } = source;
  const { view: out } = target;
  let read = from;
  let end = at;
  while (read + 4 <= to) {
    const word = view.getInt32(read, true);
    const first = word & 0xffff;
    const second = word >>> 16;
    const length = LENGTHS[first] as number;
    const more = LENGTHS[second] as number;
    if (length * more === 0) {
      end = copyEscaped(source, read, read + 4, target, end);
    } else {
      out.setInt32(end, ESCAPED[first] as number, true);
      out.setInt32(end + length, ESCAPED[second] as number, true);
      end += length + more;
    }
    read += 4;
  }
  return copyEscaped(source, read, to, target, end);
}

/**
 * Copying between buffers in hot paths: native calls cost more than short copies are worth, and a loop over single bytes
 * costs more than one over words. Words are looked through for bytes that need a closer look, four at a time.
 */

/** A buffer, and a view of the same bytes. A class, so that the loops below meet one kind of object only. */
export class ByteSpace {
  readonly bytes: Buffer;
  readonly view: DataView;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** As `subarray` of the bytes, and a tenth of a microsecond faster. */
  view8(from: number, to: number): Uint8Array {
    return new Uint8Array(this.view.buffer, this.view.byteOffset + from, to - from);
  }
}

const [SPACE, QUOTE, ZERO, BACKSLASH, LOWER_U] = [0x20, 0x22, 0x30, 0x5c, 0x75];
const EACH = 0x01010101;
const HIGH = 0x80808080 | 0;
/** Longer runs of bytes are copied by a native call. */
const LOOP_MAX = 256;
const HEX = Buffer.from('0123456789abcdef', 'latin1');

/** Control characters that have a letter of their own in JSON; zero for the others. */
const LETTERS = new Uint8Array(SPACE);
for (const [control, letter] of Object.entries({ 8: 'b', 9: 't', 10: 'n', 12: 'f', 13: 'r' })) {
  LETTERS[Number(control)] = letter.charCodeAt(0);
}

/** @returns where the copy ends */
export function copyBytes(source: ByteSpace, from: number, to: number, target: ByteSpace, at: number): number {
  if (to - from > LOOP_MAX) {
    target.bytes.set(source.view8(from, to), at);
    return at + to - from;
  }
  const { bytes, view } = source;
  const { bytes: out, view: outView } = target;
  let read = from;
  let end = at;
  for (; read + 4 <= to; read += 4, end += 4) outView.setInt32(end, view.getInt32(read, true), true);
  while (read < to) out[end++] = bytes[read++] as number;
  return end;
}

/**
 * Copies UTF-8 as it stands inside of a JSON string, with the escapes that `JSON.stringify` writes; there must be room
 * for six bytes a byte, or for what `escapedLength` says and a word. @returns where it ends
 */
export function copyEscaped(source: ByteSpace, from: number, to: number, target: ByteSpace, at: number): number {
  const { bytes, view } = source;
  const { bytes: out, view: outView } = target;
  let read = from;
  let end = at;
  while (read + 4 <= to) {
    const word = view.getInt32(read, true);
    const found = specials(word);
    outView.setInt32(end, word, true);
    // Bytes before the first that needs its escape are right; those behind it are written again.
    const plain = found === 0 ? 4 : (31 - Math.clz32(found & -found)) >> 3;
    read += plain;
    end += plain;
    if (found !== 0) end = putEscape(bytes[read++] as number, out, end);
  }
  while (read < to) {
    const byte = bytes[read++] as number;
    if (byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH) out[end++] = byte;
    else end = putEscape(byte, out, end);
  }
  return end;
}

/** Bytes that `copyEscaped` writes. */
export function escapedLength({ bytes, view }: ByteSpace, from: number, to: number): number {
  let length = to - from;
  let read = from;
  while (read < to) {
    if (read + 4 <= to && specials(view.getInt32(read, true)) === 0) {
      read += 4;
      continue;
    }
    const byte = bytes[read++] as number;
    if (byte < SPACE) length += LETTERS[byte] === 0 ? 5 : 1;
    else if (byte === QUOTE || byte === BACKSLASH) length++;
  }
  return length;
}

/** The high bits of bytes that need an escape. The lowest that is set is exact; those above it may be wrong. */
function specials(word: number): number {
  const quotes = word ^ (QUOTE * EACH);
  const backslashes = word ^ (BACKSLASH * EACH);
  const found = ((quotes - EACH) & ~quotes) | ((backslashes - EACH) & ~backslashes) | ((word - SPACE * EACH) & ~word);
  return found & HIGH;
}

function putEscape(byte: number, out: Uint8Array, at: number): number {
  out[at] = BACKSLASH;
  const letter = byte < SPACE ? (LETTERS[byte] as number) : byte;
  out[at + 1] = letter === 0 ? LOWER_U : letter;
  if (letter !== 0) return at + 2;
  out[at + 2] = ZERO;
  out[at + 3] = ZERO;
  out[at + 4] = HEX[byte >> 4] as number;
  out[at + 5] = HEX[byte & 0xf] as number;
  return at + 6;
}

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

for (let first = SPACE; first <= 0xff; first++) {
  for (let second = SPACE; second <= 0xff; second++) {
    const pair = first | (second << 8);
    const [low, high] = [escaped(first), escaped(second)];
    LENGTHS[pair] = bytesOf(low) + bytesOf(high);
    ESCAPED[pair] = low | (high << (8 * bytesOf(low)));
  }
}

function escaped(byte: number): number {
  return byte === QUOTE || byte === BACKSLASH ? BACKSLASH | (byte << 8) : byte;
}

function bytesOf(word: number): number {
  return word > 0xff ? 2 : 1;
}

/** As `copyEscaped`, and faster where escapes are many. @returns where it ends */
export function copyEscapedJson(source: ByteSpace, from: number, to: number, target: ByteSpace, at: number): number {
  const { view } = source;
  const { view: out } = target;
  let read = from;
  let end = at;
  for (; read + 8 <= to; read += 8) {
    const low = view.getInt32(read, true);
    const high = view.getInt32(read + 4, true);
    const pair1 = low & 0xffff;
    const pair2 = low >>> 16;
    const pair3 = high & 0xffff;
    const pair4 = high >>> 16;
    const length1 = LENGTHS[pair1] as number;
    const length2 = LENGTHS[pair2] as number;
    const length3 = LENGTHS[pair3] as number;
    const length4 = LENGTHS[pair4] as number;
    if (length1 * length2 * length3 * length4 === 0) {
      end = copyEscaped(source, read, read + 8, target, end);
      continue;
    }
    out.setInt32(end, ESCAPED[pair1] as number, true);
    end += length1;
    out.setInt32(end, ESCAPED[pair2] as number, true);
    end += length2;
    out.setInt32(end, ESCAPED[pair3] as number, true);
    end += length3;
    out.setInt32(end, ESCAPED[pair4] as number, true);
    end += length4;
  }
  for (; read + 2 <= to; read += 2) {
    const pair = view.getUint16(read, true);
    const length = LENGTHS[pair] as number;
    if (length === 0) {
      end = copyEscaped(source, read, read + 2, target, end);
      continue;
    }
    out.setInt32(end, ESCAPED[pair] as number, true);
    end += length;
  }
  return read === to ? end : copyEscaped(source, read, to, target, end);
}

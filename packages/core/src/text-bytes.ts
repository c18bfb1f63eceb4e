/** Text into a buffer and out of it, for hot paths. Short text is nearly always ASCII, and then a loop beats a native call. */
const LOOP_MAX = 64;

/** What `Buffer` calls after looking at its many forms of arguments; on every Node, in no documentation. */
interface DirectWrite {
  utf8Write?(text: string, at: number, length: number): number;
}

interface DirectRead {
  latin1Slice?(from: number, to: number): string;
  utf8Slice?(from: number, to: number): string;
}

/**
 * Writes `text` as UTF-8; there must be room for three bytes a character.
 * @returns the number of bytes written
 */
export function writeText(target: Buffer, text: string, at: number): number {
  const { length } = text;
  if (length > LOOP_MAX) return writeLong(target, text, at);
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return writeLong(target, text, at);
    target[at + index] = code;
  }
  return length;
}

const writeLong =
  (Buffer.prototype as DirectWrite).utf8Write === undefined
    ? (target: Buffer, text: string, at: number): number => target.write(text, at, 'utf8')
    : (target: Buffer & DirectWrite, text: string, at: number): number =>
        target.utf8Write?.(text, at, target.length - at) ?? 0;

type Read = (source: Buffer & DirectRead, from: number, to: number) => string;

/** Text of bytes that are known to be ASCII. */
export const readAscii: Read =
  (Buffer.prototype as DirectRead).latin1Slice === undefined
    ? (source, from, to) => source.toString('latin1', from, to)
    : (source, from, to) => source.latin1Slice?.(from, to) ?? '';

export const readUtf8: Read =
  (Buffer.prototype as DirectRead).utf8Slice === undefined
    ? (source, from, to) => source.toString('utf8', from, to)
    : (source, from, to) => source.utf8Slice?.(from, to) ?? '';

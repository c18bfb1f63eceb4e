/** Short text is nearly always ASCII, and then a loop is cheaper than a call into the runtime. */
const LOOP_MAX = 32;

/**
 * Writes `text` as UTF-8; there must be room for three bytes a character.
 * @returns the number of bytes written
 */
export function writeText(target: Buffer, text: string, at: number): number {
  const { length } = text;
  if (length > LOOP_MAX) return target.write(text, at, 'utf8');
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return target.write(text, at, 'utf8');
    target[at + index] = code;
  }
  return length;
}

/**
 * A place in the source's history. Opaque everywhere but in the source module that made it, and ordered: two positions
 * of one source compare by UTF-16 code unit order, so encodings are fixed-width (a Postgres LSN is 16 upper-case hex
 * digits).
 */
export type Position = string;

/** Sorts before every position a source can produce. */
export const BEFORE_ALL: Position = '';

export function maxPosition(a: Position | null, b: Position | null): Position | null {
  if (a === null) return b;
  if (b === null) return a;
  return a >= b ? a : b;
}

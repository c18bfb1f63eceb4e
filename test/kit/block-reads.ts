/** Which blocks of which tables were asked for, read from the COPY statements on the wire. */
export interface BlockRead {
  readonly table: string;
  readonly from: number;
  /** Exclusive; infinite for a range that is open at its end. */
  readonly to: number;
}

const COPY = /copy \(\s*select [^\0]*? from (?:only )?"?(\w+)"?\."?(\w+)"?[^\0]*?\) to stdout/gi;
const FROM_BLOCK = /ctid >= '\((\d+),0\)'/i;
const TO_BLOCK = /ctid < '\((\d+),0\)'/i;

export function blockReads(wire: string): readonly BlockRead[] {
  return [...wire.matchAll(COPY)].map((match) => ({
    table: match[2] ?? '',
    from: Number(FROM_BLOCK.exec(match[0])?.[1] ?? 0),
    to: Number(TO_BLOCK.exec(match[0])?.[1] ?? Number.POSITIVE_INFINITY),
  }));
}

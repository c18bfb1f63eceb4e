/** Positions of a Postgres source: the LSN as 16 upper-case hex digits, so that text order is WAL order. */
import { invariant, type Position } from '@sluice/core';

const TWO_32 = 0x1_0000_0000;

/** @param lsn as Postgres prints it: `16/B374D848` */
export function positionOfLsn(lsn: string): Position {
  const [high, low] = lsn.split('/');
  invariant(high !== undefined && low !== undefined, `not an LSN: ${lsn}`);
  return position(Number.parseInt(high, 16), Number.parseInt(low, 16));
}

export function lsnOfPosition(at: Position): string {
  return `${(highHalf(at) >>> 0).toString(16).toUpperCase()}/${(lowHalf(at) >>> 0).toString(16).toUpperCase()}`;
}

/** From the two halves of an LSN on the wire. */
export function position(high: number, low: number): Position {
  return hex8(high) + hex8(low);
}

/** The position one byte later. */
export function positionAfter(high: number, low: number): Position {
  return low === TWO_32 - 1 ? position(high + 1, 0) : position(high, low + 1);
}

/** Bytes of WAL between two positions; exact as long as it is below 2^53. */
export function walBytesBetween(from: Position, to: Position): number {
  return (highHalf(to) - highHalf(from)) * TWO_32 + (lowHalf(to) - lowHalf(from));
}

export function highHalf(at: Position): number {
  return at === '' ? 0 : Number.parseInt(at.slice(0, 8), 16);
}

export function lowHalf(at: Position): number {
  return at === '' ? 0 : Number.parseInt(at.slice(8), 16);
}

const HEX_OF_BYTE = Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, '0'));

/** Called for every transaction: number formatting of the language is several times slower above 31 bits. */
function hex8(half: number): string {
  const byte = (shift: number) => HEX_OF_BYTE[(half >>> shift) & 0xff] as string;
  return byte(24) + byte(16) + byte(8) + byte(0);
}

import { describe, expect, it } from 'vitest';
import { lsnOfPosition, position, positionAfter, positionOfLsn, walBytesBetween } from './position.ts';

describe('positions', () => {
  it('are fixed-width, so that text order is WAL order', () => {
    const inOrder = ['0/0', '0/1A', '0/FFFFFFFF', '1/0', 'A/9', '10/0', 'FFFFFFFF/FFFFFFFF'].map(positionOfLsn);
    expect(inOrder[1]).toBe('000000000000001A');
    expect([...inOrder].sort()).toEqual(inOrder);
  });

  it('come back as the LSN they were', () => {
    for (const lsn of ['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF']) expect(lsnOfPosition(positionOfLsn(lsn))).toBe(lsn);
  });

  it('carry from the low to the high half', () => {
    expect(positionAfter(1, 0xffff_ffff)).toBe(position(2, 0));
    expect(positionAfter(1, 7)).toBe(position(1, 8));
  });

  it('know the bytes between them', () => {
    expect(walBytesBetween(positionOfLsn('1/0'), positionOfLsn('2/10'))).toBe(0x1_0000_0010);
    expect(walBytesBetween('', positionOfLsn('0/10'))).toBe(16);
  });
});

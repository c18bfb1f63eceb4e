import { limits } from '@sluice/core';
import { expect, it } from 'vitest';
import { DownloadShare } from './download-share.ts';

it('gives few downloads full lines, many small ones, and the room back', () => {
  const share = new DownloadShare(10 * limits.dataLineBytesMax);
  const ends = Array.from({ length: 10 }, () => share.begin());
  expect(share.bounds()).toEqual({ ops: limits.dataLineOpsMax, bytes: limits.dataLineBytesMax });
  for (let more = 0; more < 90; more++) ends.push(share.begin());
  expect(share.bounds().bytes).toBe(Math.floor(limits.dataLineBytesMax / 10));
  for (let more = 0; more < 900_000; more++) ends.push(share.begin());
  expect(share.bounds().bytes).toBe(32 * 1024);
  for (const end of ends) end();
  expect(share.bounds().bytes).toBe(limits.dataLineBytesMax);
});

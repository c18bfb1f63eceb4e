import { limits } from '@sluice/core';
import { expect, it } from 'vitest';
import { DownloadShare } from './download-share.ts';

it('gives few downloads full lines, many small ones, and the room back', () => {
  const share = new DownloadShare(10 * limits.dataLineBytesMax);
  const first = share.begin();
  const others = Array.from({ length: 9 }, () => share.begin());
  expect(first.bounds()).toEqual({ ops: limits.dataLineOpsMax, bytes: limits.dataLineBytesMax });
  for (let more = 0; more < 90; more++) others.push(share.begin());
  expect(first.bounds().bytes).toBe(Math.floor(limits.dataLineBytesMax / 10));
  for (let more = 0; more < 900_000; more++) others.push(share.begin());
  expect(first.bounds().bytes).toBe(32 * 1024);
  for (const { end } of others) end();
  expect(first.bounds().bytes).toBe(limits.dataLineBytesMax);
});

it('gives the memory of a download that has ended to the next one, and to one only', () => {
  const share = new DownloadShare();
  const first = share.begin();
  first.memory.keep(Buffer.from('read'));
  first.end();
  const second = share.begin();
  const third = share.begin();
  expect(second.memory).toBe(first.memory);
  expect(second.memory.keep(Buffer.from('more')).at).toBe(0);
  expect(third.memory).not.toBe(second.memory);
});

/** Of two who deploy at the same time one succeeds; the other looks again at what there is. */
import { SluiceError, type StreamId } from '@sluice/core';
import type { StreamInfo } from './bucket-storage.ts';

/**
 * To be called in the transaction that makes the new stream.
 * @param expected undefined: whichever it is
 * @throws SLU_T1212
 */
export function requireNewest(
  streams: readonly Pick<StreamInfo, 'id' | 'lifecycle'>[],
  expected: StreamId | null | undefined,
): void {
  if (expected === undefined) return;
  const newest = streams.reduce<StreamId | null>(
    (found, { id, lifecycle }) => (lifecycle === 'stopped' || (found !== null && found > id) ? found : id),
    null,
  );
  if (newest === expected) return;
  throw new SluiceError('SLU_T1212', `stream ${newest ?? 'none'} is the newest one, not ${expected ?? 'none'}`);
}

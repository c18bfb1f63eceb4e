import type { OpId } from '@sluice/core';

export type FlushResult =
  | { readonly kind: 'flushed'; readonly headOp: OpId; readonly ops: number }
  /** The guard did not hold: nothing was written, and the chunk must be read again (or not at all). */
  | { readonly kind: 'discarded' };

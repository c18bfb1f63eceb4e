/**
 * Sibling loops with one fate: the first to fail aborts the others, all are awaited, and the first real error wins over
 * the abort errors it caused.
 */
import { setMaxListeners } from 'node:events';

export async function runTogether(
  signal: AbortSignal,
  loops: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<never> {
  const failed = new AbortController();
  const own = AbortSignal.any([signal, failed.signal]);
  // Each of many tasks may wait for it in several places; that is no leak.
  setMaxListeners(0, own);
  let first: { error: unknown } | null = null;
  const guarded = loops.map(async (loop) => {
    try {
      await loop(own);
      if (!own.aborted) throw new Error('a loop ended by itself');
    } catch (error) {
      first ??= { error };
      failed.abort(error);
    }
  });
  await Promise.all(guarded);
  signal.throwIfAborted();
  throw (first as { error: unknown } | null)?.error ?? new Error('all loops ended');
}

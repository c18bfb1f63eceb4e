/**
 * Time and chance, injected everywhere. The only module of the product that may touch `Date`, timers or `Math.random`
 * (held by `test/tidy.test.ts`).
 */

export interface Clock {
  /** Wall-clock milliseconds since the epoch. For people and protocols; never for measuring. */
  now(): number;
  /** Milliseconds of a clock that never goes back. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms`; the returned function cancels it. Does not keep the process alive. */
  timer(ms: number, callback: () => void): () => void;
}

/** Uniform numbers in [0, 1). */
export type Random = () => number;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
  timer: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = () => Math.random();

/** Lets I/O run: resolves in the next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const sliced: (() => void)[] = [];

/**
 * For long work in slices: each call gets a turn of its own, so that between any two slices of a process there is I/O.
 * With `nextTurn`, the answer of a storage would wait for a slice of every task.
 */
export function nextSlice(): Promise<void> {
  return new Promise((resolve) => {
    if (sliced.push(resolve) === 1) setImmediate(resumeOne);
  });
}

function resumeOne(): void {
  sliced.shift()?.();
  if (sliced.length > 0) setImmediate(resumeOne);
}

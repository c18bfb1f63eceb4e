/**
 * A value that many may wait on and one sets. Waiters are woken without data and read the newest value; values in
 * between may be skipped, which is what makes slow readers cheap.
 */
export class Latest<T> {
  #value: T;
  #version = 0;
  #waiters: (() => void)[] = [];

  constructor(initial: T) {
    this.#value = initial;
  }

  get value(): T {
    return this.#value;
  }

  get version(): number {
    return this.#version;
  }

  set(value: T): void {
    this.#value = value;
    this.#version++;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /** Resolves when a version newer than `version` is set; at once if it is. Rejects with the signal's reason. */
  changed(version: number, signal?: AbortSignal): Promise<void> {
    if (this.#version !== version) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const wake = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== wake);
        reject(signal?.reason as Error);
      };
      this.#waiters.push(wake);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

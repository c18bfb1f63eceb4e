/**
 * Milliseconds of processor time that synchronous work takes, all threads of this process together: what a machine that
 * does much else at the same time cannot make longer, as it does with seconds on the clock.
 */
export function cpuTimed<T>(work: () => T): { readonly result: T; readonly cpuMs: number } {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuMs: (user + system) / 1000 };
}

/**
 * CPU seconds of this process, all threads together, spent on a stretch of work. On a machine that does other things as
 * well they say more than the clock: two rates were perhaps measured in different weather, two CPU times were not.
 */
export async function cpuTimed<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly cpuSeconds: number }> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuSeconds: (user + system) / 1e6 };
}

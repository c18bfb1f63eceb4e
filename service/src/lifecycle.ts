/** From a configuration to a running process, and back: start order, signals, exit codes. */
import { readFileSync } from 'node:fs';
import { asSluiceError, type Logger, systemClock, systemRandom } from '@sluice/core';
import { App } from './app.ts';
import type { Config } from './config/resolve.ts';
import { openStorage, sourceFactory } from './registry.ts';
import { parseRules, requireRules } from './rules.ts';

export interface RunningService {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts everything a configuration asks for. @throws SluiceError; then nothing is left running */
export async function startService(config: Config, logger: Logger): Promise<RunningService> {
  if (config.syncRules !== null) requireRules(parseRules(config.syncRules.content), config.syncRules.name);
  for (const key of config.ignoredKeys) logger.debug({ key }, 'A configuration key that has no meaning here');
  const tools = { clock: systemClock, random: systemRandom, logger };
  const createSource = await sourceFactory(config.connection, tools);
  const source = createSource('unused_by_marks');
  const storage = await openStorage(config.storage, tools);
  try {
    const app = await App.create({ config, storage, source, createSource, ...tools, version: packageVersion() });
    await app.start();
    return {
      url: app.url,
      stop: async () => {
        await app.stop();
        await source.close();
      },
    };
  } catch (error) {
    await storage.close();
    await source.close();
    throw error;
  }
}

export function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/**
 * Stops in order at the first SIGTERM or SIGINT, and at once at the second. Resolves when the process may exit.
 */
export async function runUntilSignal(stop: () => Promise<void>, logger: Logger): Promise<void> {
  await new Promise<void>((resolve) => {
    const onSignal = () => resolve();
    process.once('SIGTERM', onSignal);
    process.once('SIGINT', onSignal);
    process.once('unhandledRejection', (reason) => {
      const { code, message } = asSluiceError(reason);
      logger.error({ code, err: reason }, `An error was not handled, shutting down: ${message}`);
      process.exitCode = 1;
      resolve();
    });
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1));
  await stop();
}

/** From a configuration to a running process, and back: start order, signals, exit codes. */
import { asSluiceError, type Failpoints, type Logger, noFailpoints, systemClock, systemRandom } from '@sluice/core';
import type { BucketStorage } from '@sluice/storage';
import { App } from './app.ts';
import type { Config } from './config/resolve.ts';
import { armedFailpoints } from './failpoints/arm.ts';
import { sourceWithFailpoints } from './failpoints/source.ts';
import { storageWithFailpoints } from './failpoints/storage.ts';
import { type ModuleTools, openStorage, type SourceFactory, sourceFactory } from './registry.ts';
import type { Role } from './role.ts';
import { parseRules, requireRules } from './rules.ts';
import type { StatusDocument } from './status/model.ts';
import { packageVersion } from './version.ts';

export interface RunningService {
  readonly url: string;
  status(): Promise<StatusDocument>;
  stop(): Promise<void>;
}

/** Starts everything a configuration asks for. @throws SluiceError; then nothing is left running */
export async function startService(config: Config, role: Role, logger: Logger): Promise<RunningService> {
  if (config.syncRules !== null) requireRules(parseRules(config.syncRules.content), config.syncRules.name);
  for (const key of config.ignoredKeys) logger.debug({ key }, 'A configuration key that has no meaning here');
  const armed = armedFailpoints(process.env);
  const tools = { clock: systemClock, random: systemRandom, logger, failpoints: armed ?? noFailpoints };
  const modules = await openModules(config, tools);
  const { createSource, storage } = armed === null ? modules : withFailpoints(modules, armed);
  const source = modules.createSource('unused_by_marks');
  try {
    const app = await App.create({ config, role, storage, source, createSource, ...tools, version: packageVersion() });
    await app.start();
    return {
      url: app.url,
      status: () => app.status(),
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

interface Modules {
  readonly createSource: SourceFactory;
  readonly storage: BucketStorage;
}

async function openModules(config: Config, tools: ModuleTools): Promise<Modules> {
  const createSource = await sourceFactory(config.connection, config.snapshot.strategy, tools);
  return { createSource, storage: await openStorage(config.storage, tools) };
}

function withFailpoints({ createSource, storage }: Modules, failpoints: Failpoints): Modules {
  return {
    createSource: (slotName) => sourceWithFailpoints(createSource(slotName), failpoints),
    storage: storageWithFailpoints(storage, failpoints),
  };
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

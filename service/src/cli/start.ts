/** `sluice start`. */
import { SluiceError } from '@sluice/core';
import { loadConfig } from '../config/resolve.ts';
import { startDevelopment } from '../dev/development.ts';
import { runUntilSignal, startService } from '../lifecycle.ts';
import { createLogger } from '../logging.ts';
import type { Role } from '../role.ts';

export interface StartOptions {
  readonly config?: string;
  readonly role: Role;
}

/** @throws SLU_C0001 for a role without a configuration */
export async function start(options: StartOptions): Promise<number> {
  if (options.config === undefined) {
    if (options.role === 'all') return startDevelopment(process.cwd());
    throw new SluiceError('SLU_C0001', `--role ${options.role} needs --config: the development server is one process`);
  }
  const config = loadConfig(options.config, process.env);
  const logger = createLogger(config.logLevel);
  const service = await startService(config, options.role, logger);
  await runUntilSignal(() => service.stop(), logger);
  return Number(process.exitCode ?? 0);
}

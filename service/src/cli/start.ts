/** `sluice start`. */
import { loadConfig } from '../config/resolve.ts';
import { startDevelopment } from '../dev/development.ts';
import { runUntilSignal, startService } from '../lifecycle.ts';
import { createLogger } from '../logging.ts';

export async function start(options: { readonly config?: string }): Promise<number> {
  if (options.config === undefined) return startDevelopment(process.cwd());
  const config = loadConfig(options.config, process.env);
  const logger = createLogger(config.logLevel);
  const service = await startService(config, logger);
  await runUntilSignal(() => service.stop(), logger);
  return Number(process.exitCode ?? 0);
}

/** `sluice start`. */
import { type Logger, SluiceError, systemClock } from '@sluice/core';
import { type Config, loadConfig } from '../config/resolve.ts';
import { startDevelopment } from '../dev/development.ts';
import { type RunningService, runUntilSignal, startService } from '../lifecycle.ts';
import { createLogger } from '../logging.ts';
import type { Role } from '../role.ts';
import { drawCopies, logAbove, logCopies, StatusLine } from './copy-display.ts';

export interface StartOptions {
  readonly config?: string;
  readonly role: Role;
  /** In place of the configured one. */
  readonly port?: number;
}

/** @throws SLU_C0001 for a role without a configuration */
export async function start(options: StartOptions): Promise<number> {
  if (options.config === undefined) {
    if (options.role === 'all') return startDevelopment(process.cwd());
    throw new SluiceError('SLU_C0001', `--role ${options.role} needs --config: the development server is one process`);
  }
  const config = onPort(loadConfig(options.config, process.env), options);
  const line = process.stdout.isTTY ? new StatusLine(process.stdout) : null;
  const logger = createLogger(config.logLevel, line === null ? null : logAbove(line));
  const service = await startService(config, options.role, logger);
  const display = new AbortController();
  const displayed = options.role !== 'serve' ? showCopies({ service, logger, line }, display.signal) : null;
  await runUntilSignal(async () => {
    display.abort();
    await displayed;
    await service.stop();
  }, logger);
  return Number(process.exitCode ?? 0);
}

/** Nobody needs to find who copies: it takes any free port, beside the others of its machine. */
function onPort(config: Config, { role, port }: StartOptions): Config {
  return { ...config, port: port ?? (role === 'copy' ? 0 : config.port) };
}

interface Shown {
  readonly service: RunningService;
  readonly logger: Logger;
  /** Null where there is no terminal. */
  readonly line: StatusLine | null;
}

function showCopies({ service, logger, line }: Shown, signal: AbortSignal): Promise<void> {
  if (line === null) return logCopies({ service, logger, clock: systemClock }, signal);
  return drawCopies({ service, line, clock: systemClock }, signal);
}

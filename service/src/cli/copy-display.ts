/**
 * How far the copy is, for whoever started the service and looks at its terminal: one line that is redrawn under the log,
 * or, where there is no terminal, a line of the log now and then.
 */
import type { Clock, Logger } from '@sluice/core';
import type { StatusDocument } from '../status/model.ts';
import { copyLine } from '../status/text.ts';

const REDRAW_MS = 500;
const LOG_MS = 30_000;

/** What a terminal is to this: `process.stdout`, or a test's. */
export interface Terminal {
  readonly columns?: number;
  write(text: string): unknown;
}

/** A last line that is not part of what scrolls by. */
export class StatusLine {
  readonly #terminal: Terminal;
  #text = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(text: string): void {
    // A line that wraps could not be taken back.
    this.#text = text.slice(0, Math.max(0, (this.#terminal.columns ?? 80) - 1));
    this.#terminal.write(`\r\u001b[K${this.#text}`);
  }

  clear(): void {
    if (this.#text !== '') this.#terminal.write('\r\u001b[K');
    this.#text = '';
  }

  /** Writes what scrolls by; the line stays below it. */
  above(write: () => void): void {
    if (this.#text === '') return write();
    this.#terminal.write('\r\u001b[K');
    write();
    this.#terminal.write(this.#text);
  }
}

/** The log of a process that has such a line on its terminal. */
export function logAbove(line: StatusLine): { write(text: string): void } {
  return { write: (text) => line.above(() => void process.stderr.write(text)) };
}

export interface Reported {
  status(): Promise<StatusDocument>;
}

/** Until the signal aborts. */
export async function drawCopies(
  { service, line, clock }: { readonly service: Reported; readonly line: StatusLine; readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const text = await currentLine(service);
    if (text === null) line.clear();
    else line.show(`Copying, ${text}`);
    await clock.sleep(REDRAW_MS, signal).catch(() => {});
  }
  line.clear();
}

/** Until the signal aborts. */
export async function logCopies(
  { service, logger, clock }: { readonly service: Reported; readonly logger: Logger; readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(LOG_MS, signal).catch(() => {});
    if (signal.aborted) return;
    const text = await currentLine(service);
    if (text !== null) logger.info({}, `Copying, ${text}`);
  }
}

/** Storage that does not answer is said elsewhere. */
function currentLine(service: Reported): Promise<string | null> {
  return service.status().then(copyLine, () => null);
}

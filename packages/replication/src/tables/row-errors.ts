/** Rows that rules could not be evaluated for: counted, and the first ones said. */
import type { Logger } from '@sluice/core';
import type { TableState } from '@sluice/storage';

const SAID_MAX = 100;

export class RowErrors {
  readonly #logger: Logger;
  count = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add({ relation: { schema, name } }: TableState, definition: string, reason: string): void {
    this.count++;
    if (this.count > SAID_MAX) return;
    this.#logger.warn({ table: `${schema}.${name}`, definition, reason }, 'a row could not be evaluated');
  }
}

/**
 * The source gives our history up when it has kept too much of it. This tells how much is left, how long that lasts as
 * things go, how long Sluice could be away, and warns once at each threshold.
 */
import type { Clock, Logger } from '@sluice/core';
import type { ChangeSource, SourceHealth } from '../change-source.ts';
import { RateWindow } from '../copy/rate-window.ts';

/** Shares of the whole budget. */
const THRESHOLDS = [0.5, 0.25, 0.1];

export interface WalBudgetFacts {
  readonly limitBytes: number;
  readonly leftBytes: number;
  /** Until nothing is left, if it goes on shrinking as in the last half minute; null if it does not shrink. */
  readonly secondsLeft: number | null;
  /** How long the stream could stand still while the source is written to as in the last half minute; null if it is idle. */
  readonly outageSeconds: number | null;
}

export class WalBudget {
  readonly #source: Pick<ChangeSource, 'bytesBetween'>;
  readonly #logger: Logger;
  readonly #written: RateWindow;
  readonly #shrunk: RateWindow;
  #last: SourceHealth | null = null;
  /** Thresholds that have been warned of, and not been recovered from. */
  #warned = 0;

  constructor(ports: {
    readonly source: Pick<ChangeSource, 'bytesBetween'>;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#source = ports.source;
    this.#logger = ports.logger;
    this.#written = new RateWindow(ports.clock);
    this.#shrunk = new RateWindow(ports.clock);
  }

  /** Called at every look at the source's health. */
  observe(health: SourceHealth): void {
    const last = this.#last;
    this.#last = health;
    this.#written.add(last === null ? 0 : (this.#source.bytesBetween(last.head, health.head) ?? 0));
    const [before, left] = [last?.budgetBytes ?? null, health.budgetBytes];
    this.#shrunk.add(before === null || left === null ? 0 : before - left);
    this.#warn();
  }

  /** Null if the source sets no limit, or does not tell. */
  facts(): WalBudgetFacts | null {
    const { limitBytes = null, budgetBytes: leftBytes = null } = this.#last ?? {};
    if (limitBytes === null || leftBytes === null) return null;
    const lasting = (perSecond: number | null) =>
      perSecond === null || perSecond <= 0 ? null : Math.max(0, Math.floor(leftBytes / perSecond));
    return {
      limitBytes,
      leftBytes: Math.max(0, leftBytes),
      secondsLeft: lasting(this.#shrunk.perSecond()),
      outageSeconds: lasting(this.#written.perSecond()),
    };
  }

  #warn(): void {
    const facts = this.facts();
    if (facts === null) return;
    const crossed = THRESHOLDS.filter((share) => facts.leftBytes <= share * facts.limitBytes).length;
    if (crossed > this.#warned) {
      this.#logger.warn(
        { ...facts },
        'the source will give up the history that the stream needs when the rest is used up',
      );
    }
    this.#warned = crossed;
  }
}

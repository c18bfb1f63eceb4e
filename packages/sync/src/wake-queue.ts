/**
 * Connections are woken some a turn. Woken all together, a thousand go step by step, and the first is sent its lines when
 * the last one's are made; what else the process has to do waits for all of them.
 */
import { nextTurn } from '@sluice/core';

export interface Sleeper {
  wake(): void;
}

const WOKEN_A_TURN = 100;

export class WakeQueue {
  readonly #due = new Set<Sleeper>();
  readonly #perTurn: number;
  #left: number;
  /** The turn at whose end more may be woken, if some were in this one. */
  #turn: Promise<void> | null = null;
  #isHeld = false;

  constructor(perTurn: number = WOKEN_A_TURN) {
    this.#perTurn = perTurn;
    this.#left = perTurn;
  }

  /** Wakes it in this turn if there is room, else in one that follows. */
  add(sleeper: Sleeper): void {
    this.#due.add(sleeper);
    this.#wakeSome();
  }

  /** Until `release`, nobody is woken. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.#wakeSome();
  }

  /** Resolves in the turn behind the one in which the last of those was woken who were due. */
  async drained(): Promise<void> {
    while (this.#due.size > 0 && this.#turn !== null) await this.#turn;
    await this.#turn;
  }

  #wakeSome(): void {
    if (this.#isHeld) return;
    for (const sleeper of this.#due) {
      if (this.#left === 0) break;
      this.#left--;
      this.#due.delete(sleeper);
      sleeper.wake();
    }
    if (this.#left < this.#perTurn) this.#turn ??= nextTurn().then(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#turn = null;
    this.#left = this.#perTurn;
    this.#wakeSome();
  }
}

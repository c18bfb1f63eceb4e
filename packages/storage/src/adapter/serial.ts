/**
 * Runs jobs one at a time, in two lanes: prompt jobs go before patient ones, but only so many in a row while a patient
 * one waits. Within a lane the order is that of handing in. A failed job does not stop the next one.
 */
export type Lane = 'prompt' | 'patient';

const OVERTAKING_MAX = 8;

export class Serial {
  readonly #waiting: Readonly<Record<Lane, (() => Promise<void>)[]>> = { prompt: [], patient: [] };
  /** Prompt jobs that have overtaken the patient one that waits now. */
  #overtook = 0;
  #running = false;

  run<T>(job: () => Promise<T>, lane: Lane = 'prompt'): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting[lane].push(() => job().then(resolve, reject));
      if (!this.#running) void this.#runAll();
    });
  }

  async #runAll(): Promise<void> {
    this.#running = true;
    for (let next = this.#next(); next !== undefined; next = this.#next()) await next();
    this.#running = false;
  }

  #next(): (() => Promise<void>) | undefined {
    const { prompt, patient } = this.#waiting;
    if (prompt.length > 0 && (patient.length === 0 || this.#overtook < OVERTAKING_MAX)) {
      this.#overtook = patient.length === 0 ? 0 : this.#overtook + 1;
      return prompt.shift();
    }
    this.#overtook = 0;
    return patient.shift();
  }
}

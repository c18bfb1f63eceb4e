/**
 * A second process of a crash run that only copies, and dies at failpoints of its own: while the replicator lives, or
 * some time after it, having gone on alone. What both have left behind is judged then.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Failpoint } from '@sluice/core';
import { expect } from 'vitest';
import { type SeededRandom, seededRandom } from './seeded-random.ts';
import { type ServiceOptions, ServiceProcess } from './service-process.ts';

const POINTS: readonly Failpoint[] = [
  'copy.before-read',
  'copy.read',
  'copy.before-flush',
  'copy.rows-written',
  'copy.flushed',
];
/** Of its own it has few tasks. */
const TIMES_MAX = 4;
const ALONE_MS_MAX = 1500;

export class CrashCopier {
  readonly #process: ServiceProcess;
  readonly #random: SeededRandom;
  #reviving: Promise<void> = Promise.resolve();
  #ending = true;
  /** As `point:time`: where it died by itself. */
  readonly deaths: string[] = [];

  private constructor(process: ServiceProcess, seed: number) {
    this.#process = process;
    this.#random = seededRandom(seed);
  }

  /** @param options of the replicator, with its storage */
  static async prepare(options: ServiceOptions, seed: number): Promise<CrashCopier> {
    return new CrashCopier(await ServiceProcess.prepare({ ...options, role: 'copy' }), seed);
  }

  /** Starts it, to die at some point; whenever that has happened, it is started again, to die at another one. */
  begin(): void {
    this.#ending = false;
    this.#reviving = this.#revive();
  }

  async #revive(): Promise<void> {
    while (!this.#ending) {
      const failpoint = `${this.#random.pick(POINTS)}:${1 + this.#random.int(TIMES_MAX)}`;
      this.#process.failpoint = failpoint;
      this.#process.spawn();
      const { signal } = await this.#process.exit;
      // Nothing else may have ended it: an error of its own is a finding.
      expect(signal, this.#process.output.slice(-3000)).toBe('SIGKILL');
      if (!this.#ending) this.deaths.push(failpoint);
    }
  }

  /** The replicator is dead: goes on for a while, and dies. */
  async end(): Promise<void> {
    if (!this.#ending) await sleep(this.#random.int(ALONE_MS_MAX));
    await this.#stop();
  }

  /** Lives to the end of the run. */
  async stay(): Promise<void> {
    await this.#stop();
    this.#process.failpoint = null;
    await this.#process.start();
  }

  async #stop(): Promise<void> {
    this.#ending = true;
    await this.#process.kill();
    await this.#reviving;
  }

  async dispose(): Promise<void> {
    await this.#stop();
    await this.#process.dispose();
  }
}

/** Deploys of sync rules: a new stream beside the one that serves, which takes over at its first checkpoint. */
import { createHash } from 'node:crypto';
import { type Clock, type Logger, SluiceError } from '@sluice/core';
import type { BucketStorage, StreamInfo } from '@sluice/storage';
import { meansTheSame, parseRules, requireRules } from './rules.ts';

export interface DeployedRules {
  readonly current: StreamInfo | null;
  readonly next: StreamInfo | null;
}

/** Of how many that deploy at the same time the last one may be. */
const ATTEMPTS = 8;

export class Deployer {
  /** That the rules of the configuration are the older ones; null if they are not. */
  notice: SluiceError | null = null;
  readonly #storage: BucketStorage;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(ports: { readonly storage: BucketStorage; readonly clock: Clock; readonly logger: Logger }) {
    this.#storage = ports.storage;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  /** What serves, and what is being prepared to take over. */
  async deployed(): Promise<DeployedRules> {
    const streams = await this.#storage.listStreams();
    return {
      current: streams.find((stream) => stream.lifecycle === 'active') ?? null,
      next: streams.find((stream) => stream.lifecycle === 'processing') ?? null,
    };
  }

  /**
   * The rules of the configuration, at every start: deployed if those of the newest stream mean something else. Unless
   * they are what this process had at its last start: then the others came since, and it was not given them.
   * @param process the same at every start
   * @param rules null: the configuration names none
   */
  async ensure(process: string, rules: string | null): Promise<void> {
    const hash = rules === null ? null : createHash('sha256').update(rules).digest('hex');
    const known = (await this.#storage.configuredRules()).find((each) => each.process === process)?.hash ?? null;
    if (rules !== null) {
      await this.#inTurn(async ({ current, next }) => {
        const newest = next ?? current;
        if (newest !== null && meansTheSame(newest.rules, rules)) return;
        if (newest !== null && known === hash) this.#noteOlder(newest);
        else await this.#create(rules, newest);
      });
    }
    if (known !== hash) await this.#storage.putConfiguredRules(process, hash);
  }

  #noteOlder(newest: StreamInfo): void {
    const deployed = new Date(newest.createdAtMs).toISOString();
    const message = `the sync rules of this configuration have not changed since stream ${newest.id} was deployed with others, at ${deployed}: they were not deployed`;
    this.notice = new SluiceError('SLU_C0010', message);
    this.#logger.warn({ code: this.notice.code, hint: this.notice.hint }, message);
  }

  /**
   * An edit of comments or layout deploys nothing: the stream that is there means the same. One that is in trouble is
   * replaced all the same.
   * @throws PSYNC_R0001
   */
  deploy(rules: string): Promise<StreamInfo> {
    return this.#inTurn(async ({ current, next }) => {
      requireRules(parseRules(rules), 'the sync rules');
      const newest = next ?? current;
      if (newest === null || newest.error !== null || !meansTheSame(newest.rules, rules)) {
        return this.#create(rules, newest);
      }
      this.#logger.info({ stream: newest.id }, 'Sync rules deployed that mean what is there already: nothing to do');
      return newest;
    });
  }

  /** The active rules once more, from the start. @throws PSYNC_S4104, PSYNC_S4106 */
  reprocess(): Promise<StreamInfo> {
    return this.#inTurn(async ({ current, next }) => {
      if (next !== null) throw new SluiceError('PSYNC_S4106', `stream ${next.id} is being prepared`);
      if (current === null) throw new SluiceError('PSYNC_S4104', 'there are no active sync rules');
      return this.#create(current.rules, current);
    });
  }

  /** Storage refuses what was decided on what is not so any more: then it is decided again. @throws SLU_T1212 */
  async #inTurn<T>(decide: (deployed: DeployedRules) => Promise<T>): Promise<T> {
    for (let attempts = 1; ; attempts++) {
      try {
        return await decide(await this.deployed());
      } catch (error) {
        if (!(error instanceof SluiceError) || error.code !== 'SLU_T1212' || attempts === ATTEMPTS) throw error;
      }
    }
  }

  async #create(rules: string, after: StreamInfo | null): Promise<StreamInfo> {
    const stream = await this.#storage.createStream(rules, this.#clock.now(), after?.id ?? null);
    this.#logger.info({ stream: stream.id }, 'Sync rules deployed; their stream takes over at its first checkpoint');
    return stream;
  }
}

/** Deploys of sync rules: a new stream beside the one that serves, which takes over at its first checkpoint. */
import { type Clock, type Logger, SluiceError } from '@sluice/core';
import type { BucketStorage, StreamInfo } from '@sluice/storage';
import { meansTheSame, parseRules, requireRules } from './rules.ts';

export interface DeployedRules {
  readonly current: StreamInfo | null;
  readonly next: StreamInfo | null;
}

export class Deployer {
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

  /** The rules of the configuration, at every start: deployed if those of the newest stream mean something else. */
  async ensure(rules: string): Promise<void> {
    const { current, next } = await this.deployed();
    const newest = next ?? current;
    if (newest === null || !meansTheSame(newest.rules, rules)) await this.#create(rules);
  }

  /**
   * An edit of comments or layout deploys nothing: the stream that is there means the same. One that is in trouble is
   * replaced all the same.
   * @throws PSYNC_R0001
   */
  async deploy(rules: string): Promise<StreamInfo> {
    requireRules(parseRules(rules), 'the sync rules');
    const { current, next } = await this.deployed();
    const newest = next ?? current;
    if (newest === null || newest.error !== null || !meansTheSame(newest.rules, rules)) return this.#create(rules);
    this.#logger.info({ stream: newest.id }, 'Sync rules deployed that mean what is there already: nothing to do');
    return newest;
  }

  /** The active rules once more, from the start. @throws PSYNC_S4104, PSYNC_S4106 */
  async reprocess(): Promise<StreamInfo> {
    const { current, next } = await this.deployed();
    if (next !== null) throw new SluiceError('PSYNC_S4106', `stream ${next.id} is being prepared`);
    if (current === null) throw new SluiceError('PSYNC_S4104', 'there are no active sync rules');
    return this.#create(current.rules);
  }

  async #create(rules: string): Promise<StreamInfo> {
    const stream = await this.#storage.createStream(rules, this.#clock.now());
    this.#logger.info({ stream: stream.id }, 'Sync rules deployed; their stream takes over at its first checkpoint');
    return stream;
  }
}

/** Deploys of sync rules: a new stream beside the one that serves, which takes over at its first checkpoint. */
import { type Clock, type Logger, SluiceError } from '@sluice/core';
import type { BucketStorage, StreamInfo } from '@sluice/storage';
import { parseRules, requireRules } from './rules.ts';

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

  /** The rules of the configuration, at every start: deployed if the newest stream has others. */
  async ensure(rules: string): Promise<void> {
    const { current, next } = await this.deployed();
    if ((next ?? current)?.rules === rules) return;
    await this.#create(rules);
  }

  /** @throws PSYNC_R0001 */
  async deploy(rules: string): Promise<StreamInfo> {
    requireRules(parseRules(rules), 'the sync rules');
    return this.#create(rules);
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

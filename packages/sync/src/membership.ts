/**
 * Which buckets one connection has, as of a checkpoint. What depends on the request alone is resolved once; what depends
 * on parameter tables is resolved again when one of the lookups it used has changed.
 */
import { limits, type OpId, SluiceError } from '@sluice/core';
import type { RequestResolution, ResolvedBucket, SyncRequest, SyncRules } from '@sluice/sync-rules';
import type { Membership } from './checkpoint-diff.ts';
import type { LookupReads } from './reads/lookup-reads.ts';
import type { BucketReason, StreamEntry } from './protocol.ts';

export interface MembershipLimits {
  readonly buckets: number;
  readonly parameterResults: number;
}

export interface MembershipAt {
  readonly buckets: readonly Membership[];
  /** Keys to watch. */
  readonly lookups: readonly string[];
  /** For the `streams` of a checkpoint line. */
  readonly streams: readonly StreamEntry[];
}

export const membershipLimits: MembershipLimits = {
  buckets: limits.bucketsPerConnectionMax,
  parameterResults: limits.parameterResultsMax,
};

export class MembershipResolver {
  readonly #resolution: RequestResolution;
  readonly #lookups: LookupReads;
  readonly #limits: MembershipLimits;
  /** Index of a stream in the response, by its name. */
  readonly #streamIndex: ReadonlyMap<string, number>;
  readonly #reasonLists = new Map<string, readonly BucketReason[]>();

  constructor(options: {
    readonly rules: SyncRules;
    readonly request: SyncRequest;
    readonly lookups: LookupReads;
    readonly limits: MembershipLimits;
  }) {
    this.#resolution = options.rules.resolve(options.request);
    this.#lookups = options.lookups;
    this.#limits = options.limits;
    this.#streamIndex = new Map(this.#resolution.streams.map((stream, index) => [stream.name, index]));
  }

  /** Whether the buckets depend on parameter tables. */
  get dynamic(): boolean {
    return this.#resolution.dynamic !== null;
  }

  /** @throws PSYNC_S2305 with the number of buckets per definition */
  async at(opId: OpId): Promise<MembershipAt> {
    const { dynamic, staticBuckets, streams } = this.#resolution;
    if (dynamic === null) return this.#checked(staticBuckets, { lookups: [], streams: streams.map(streamEntry) });
    let results = 0;
    const found = await dynamic.resolve(async (keys) => {
      const sets = await this.#lookups.at(opId, keys);
      for (const set of sets) results += set.length;
      if (results > this.#limits.parameterResults) throw this.#tooManyResults(results, keys);
      return sets;
    });
    const entries = streams.map((stream) => {
      const errors = found.errors.filter((error) => error.stream === stream.name);
      return streamEntry({ ...stream, errors: [...stream.errors, ...errors] });
    });
    return this.#checked(found.buckets, { lookups: found.lookups, streams: entries });
  }

  #checked(buckets: readonly ResolvedBucket[], rest: Omit<MembershipAt, 'buckets'>): MembershipAt {
    if (buckets.length > this.#limits.buckets) throw this.#tooManyBuckets(buckets);
    return { buckets: buckets.map((bucket) => this.#member(bucket)), ...rest };
  }

  #member(bucket: ResolvedBucket): Membership {
    return { bucket: bucket.bucket, priority: bucket.priority, reasons: this.#reasons(bucket) };
  }

  /** Hundreds of buckets of a connection have the same reasons, and share one list. */
  #reasons(bucket: ResolvedBucket): readonly BucketReason[] {
    const key = JSON.stringify(bucket.reasons);
    const known = this.#reasonLists.get(key);
    if (known !== undefined) return known;
    const reasons = bucket.reasons.map(
      (reason): BucketReason =>
        'default' in reason ? { default: this.#streamIndex.get(reason.default) ?? 0 } : { sub: reason.subscription },
    );
    this.#reasonLists.set(key, reasons);
    return reasons;
  }

  #tooManyBuckets(buckets: readonly ResolvedBucket[]): SluiceError {
    const counts = new Map<string, number>();
    for (const { definition } of buckets) counts.set(definition, (counts.get(definition) ?? 0) + 1);
    const breakdown = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name}: ${count}`);
    return new SluiceError(
      'PSYNC_S2305',
      `Too many buckets: ${buckets.length}, the limit is ${this.#limits.buckets} (${breakdown.join(', ')})`,
    );
  }

  #tooManyResults(results: number, keys: readonly string[]): SluiceError {
    const streams = this.#resolution.streams.map((stream) => stream.name).join(', ');
    return new SluiceError(
      'PSYNC_S2305',
      `Too many parameter results: at least ${results}, the limit is ${this.#limits.parameterResults} ` +
        `(${keys.length} lookups in one step; definitions in effect: ${streams})`,
    );
  }
}

function streamEntry(stream: RequestResolution['streams'][number]): StreamEntry {
  const errors = stream.errors.map(({ subscription, message }) => ({ subscription, message }));
  return { name: stream.name, is_default: stream.isDefault, errors };
}

import type { SyncRequest, SyncRules } from '@sluice/sync-rules';
import { expect, it } from 'vitest';
import { LookupReads } from './reads/lookup-reads.ts';
import { membershipLimits, MembershipResolver } from './membership.ts';

const REQUEST: SyncRequest = { token: {}, parameters: {}, subscriptions: [], includeDefaults: true };

it('says of a bucket that two streams share to which of them each of its reasons belongs', async () => {
  const shared = {
    bucket: 'b',
    priority: 3,
    definition: 'first',
    reasons: [{ default: 'first' }, { subscription: 4 }, { default: 'second' }],
  };
  const rules: Pick<SyncRules, 'resolve'> = {
    resolve: () => ({
      streams: ['first', 'second'].map((name) => ({ name, isDefault: true, errors: [] })),
      staticBuckets: [shared],
      dynamic: null,
    }),
  };
  const lookups = new LookupReads({ lookups: async () => [] });
  const resolver = new MembershipResolver({
    rules: rules as SyncRules,
    request: REQUEST,
    lookups,
    limits: membershipLimits,
  });
  expect((await resolver.at(1)).buckets).toEqual([
    { bucket: 'b', priority: 3, reasons: [{ default: 0 }, { sub: 4 }, { default: 1 }] },
  ]);
});

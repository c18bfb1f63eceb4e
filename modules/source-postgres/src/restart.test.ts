/** Every case of a restart, one line each: what is there, what is decided, and a word of the reason. */
import { expect, test } from 'vitest';
import { parseTimelineHistory, type SavedSlot, type Server } from './lineage.ts';
import { position } from './position.ts';
import { decideRestart, type RestartFacts } from './restart.ts';
import type { SlotState } from './slot.ts';

const at = (low: number) => position(0, low);

const saved: SavedSlot = {
  slot: 'sluice_1',
  systemId: '7001',
  timeline: '3',
  database: 'app',
  databaseId: '16384',
  publicationId: '16400',
  startPosition: at(100),
};
const server: Server = {
  systemId: '7001',
  timeline: '3',
  database: 'app',
  databaseId: '16384',
  publicationId: '16400',
  head: at(900),
  ends: new Map(),
};
const slot: SlotState = {
  plugin: 'pgoutput',
  database: 'app',
  activePid: null,
  walStatus: 'reserved',
  invalidationReason: null,
  confirmed: at(500),
  safeWalSize: null,
  limitBytes: null,
  retainedBytes: 0,
};
const facts: RestartFacts = { saved, server, slot, durable: at(500), newest: at(520), asked: false };

const onServer = (changes: Partial<Server>): Partial<RestartFacts> => ({ server: { ...server, ...changes } });
const withSlot = (changes: Partial<SlotState>): Partial<RestartFacts> => ({ slot: { ...slot, ...changes } });
const promoted = (end: number, changes: Partial<Server> = {}) =>
  onServer({
    timeline: '4',
    ends: new Map([
      ['2', at(50)],
      ['3', at(end)],
    ]),
    ...changes,
  });
const old: SavedSlot = { ...saved, databaseId: null, publicationId: null };

type Case = readonly [what: string, changes: Partial<RestartFacts>, kind: string, reason: RegExp];

const cases: readonly Case[] = [
  ['nothing is saved', { saved: null, slot: null, durable: null, newest: null }, 'full', /nothing is stored/],
  ['nothing is saved, a slot was left by a crash', { saved: null, durable: null }, 'full', /nothing is stored/],
  ['all is as it was', {}, 'continue', /as we left it/],
  ['the slot is behind: an acknowledgement was not sent', withSlot({ confirmed: at(400) }), 'continue', /as we left/],
  [
    'the copy had not begun to commit',
    { durable: null, ...withSlot({ confirmed: at(100) }) },
    'continue',
    /as we left/,
  ],
  [
    'the copy is unfinished, nothing read yet',
    { durable: null, newest: null, ...withSlot({ confirmed: at(100) }) },
    'continue',
    /as we left/,
  ],
  ['the slot keeps more WAL than it may, still there', withSlot({ walStatus: 'unreserved' }), 'continue', /as we left/],
  ['the slot is held by another connection', withSlot({ activePid: '42' }), 'continue', /as we left/],
  [
    'the database was renamed',
    { ...onServer({ database: 'new' }), ...withSlot({ database: 'new' }) },
    'continue',
    /as we left/,
  ],
  ['a crash of the server took back what it had not flushed', onServer({ head: at(510) }), 'continue', /as we left/],
  ['saved by a version that knew less', { saved: old }, 'continue', /as we left/],

  ['the slot is gone', { slot: null }, 'reconcile', /does not exist/],
  ['the slot is gone in mid-copy', { slot: null, durable: null, newest: null }, 'reconcile', /does not exist/],
  ['lost, before 17', withSlot({ walStatus: 'lost' }), 'reconcile', /max_slot_wal_keep_size/],
  [
    'lost: WAL removed',
    withSlot({ walStatus: 'lost', invalidationReason: 'wal_removed' }),
    'reconcile',
    /removed the WAL/,
  ],
  ['lost: rows removed', withSlot({ invalidationReason: 'rows_removed' }), 'reconcile', /removed rows/],
  ['lost: wal_level', withSlot({ invalidationReason: 'wal_level_insufficient' }), 'reconcile', /wal_level/],
  ['lost: idle', withSlot({ invalidationReason: 'idle_timeout' }), 'reconcile', /idle_replication_slot_timeout/],
  ['lost: a reason of a later version', withSlot({ invalidationReason: 'moonlight' }), 'reconcile', /moonlight/],
  ['the slot is ahead of us: made anew, or moved', withSlot({ confirmed: at(501) }), 'reconcile', /made anew or moved/],
  ['a storage from a backup', { durable: at(300), newest: at(300) }, 'reconcile', /the storage is an old one/],
  ['the publication was made anew', onServer({ publicationId: '16999' }), 'reconcile', /publication/],
  ['the publication is gone', onServer({ publicationId: null }), 'reconcile', /publication/],
  ['an operator asks for it', { asked: true }, 'reconcile', /asked/],

  ['promoted, the slot came along', promoted(520), 'partial', /timeline 3 became 4 at 0\/208/],
  [
    'promoted, the slot came along, behind us',
    { ...promoted(600), ...withSlot({ confirmed: at(300) }) },
    'partial',
    /became 4/,
  ],
  ['promoted without the slot', { ...promoted(600), slot: null }, 'reconcile', /does not exist/],
  ['promoted, but it had not received all that we read', promoted(510), 'reconcile', /never happened/],
  [
    'promoted, and it has not come as far as we read',
    promoted(450, { head: at(480) }),
    'refuse',
    /SLU_S1158.*ends at 0\/1E0/,
  ],

  ['another cluster', onServer({ systemId: '7002' }), 'refuse', /SLU_S1150.*cluster 7002/],
  [
    'another cluster, without a slot, at the same address',
    { ...onServer({ systemId: '7002' }), slot: null },
    'refuse',
    /SLU_S1150/,
  ],
  [
    'another database of the cluster',
    { ...onServer({ database: 'b', databaseId: '5' }), slot: null },
    'refuse',
    /SLU_S1150.*database b/,
  ],
  ['another database, by name', { saved: old, ...onServer({ database: 'b' }) }, 'refuse', /SLU_S1150.*database b/],
  ['the primary of before', onServer({ timeline: '2' }), 'refuse', /SLU_S1150.*left for timeline 3/],
  [
    'a timeline that forked before ours',
    onServer({ timeline: '5', ends: new Map([['2', at(50)]]) }),
    'refuse',
    /SLU_S1150.*does not descend/,
  ],
  ['the same timeline, shorter', onServer({ head: at(490) }), 'refuse', /SLU_S1150.*ends at 0\/1EA/],
  ['another plugin has the name', withSlot({ plugin: 'wal2json' }), 'refuse', /SLU_S1157.*wal2json/],
  ['a physical slot has the name', withSlot({ plugin: '', database: '' }), 'refuse', /SLU_S1157.*physical/],
  ['a slot of another database has the name', withSlot({ database: 'b' }), 'refuse', /SLU_S1157.*database b/],
  ['refused, whoever asks', { asked: true, ...onServer({ systemId: '7002' }) }, 'refuse', /SLU_S1150/],
];

test.each(cases)('%s', (_, changes, kind, reason) => {
  const decision = decideRestart({ ...facts, ...changes });
  const code = decision.kind === 'refuse' ? `${decision.code} ` : '';
  expect([decision.kind, code + decision.reasons.join('; ')]).toEqual([kind, expect.stringMatching(reason)]);
});

test('all reasons are named', () => {
  const changes = { slot: null, asked: true, ...onServer({ publicationId: '1' }) };
  expect(decideRestart({ ...facts, ...changes }).reasons).toHaveLength(3);
});

test('the history of timelines is read, comments and all', () => {
  const text = '1\t0/3000150\tno recovery target specified\n\n# by hand\n2\t1A/ff000000\tbefore 2026\n';
  expect([...parseTimelineHistory(text)]).toEqual([
    ['1', '0000000003000150'],
    ['2', '0000001AFF000000'],
  ]);
});

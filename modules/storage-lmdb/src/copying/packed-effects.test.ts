import { itemOf, OpRun, PackedRows } from '@sluice/storage';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteSpace } from '@sluice/core';
import { Arena } from '../arena.ts';
import { Assembly } from '../assembly.ts';
import { GROUP_SLOTS, RECORD_GROUP_BYTES } from '../config.ts';
import type { Effects } from '../effects.ts';
import { hashKey } from '../keys.ts';
import { readSlot, unpackGroup } from '../record-groups.ts';
import { PackedEffects } from './packed-effects.ts';
import { PackedGroups } from './packed-groups.ts';

const op = fc.record({
  bucket: fc.constantFrom('a', 'b', 'c'),
  checksum: fc.integer(),
  body: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 40 }),
    fc.nat(2).map((n) => new Uint8Array(15_000 * (n + 1))),
  ),
});
const row = fc.record({
  key: fc.string({ maxLength: 6 }),
  effect: fc.record({
    record: fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(2).map((n) => new Uint8Array(2_500 * n)),
    ),
    ops: fc.array(op, { maxLength: 3 }),
    lookups: fc.array(fc.record({ key: fc.string(), value: fc.string() }), { maxLength: 1 }),
    partial: fc.boolean(),
  }),
  isKnown: fc.boolean(),
});

type Row = Parameters<typeof PackedRows.of>[1] extends Iterable<infer R> ? R : never;

/** In one buffer, as slabs leave them, and some alone. */
function packed(rows: readonly Row[]): PackedRows {
  const loose = PackedRows.of(1, rows);
  const together = new PackedRows(1);
  const space = new ByteSpace(Buffer.alloc(2_000_000));
  let end = 0;
  const moved = (bytes: Uint8Array) => {
    if (end % 7 === 6) return itemOf(bytes);
    const start = end;
    space.bytes.set(bytes, start);
    end += bytes.length;
    return { space, start, end };
  };
  for (let at = 0; at < loose.count; at++) {
    for (let op = loose.firstOp(at); op < loose.firstOp(at + 1); op++) {
      together.addOp(loose.bucket(op), loose.checksums.at(op), moved(loose.bodies.view(op)));
    }
    together.endRow(moved(loose.slots.view(at)), loose.lookups(at));
  }
  return together;
}

function shown({ ordinals, buckets, lookups }: Effects) {
  const byName = [...buckets].sort(([a], [b]) => (a < b ? -1 : 1));
  const runs = byName.map(([bucket, { runs, checksum, count, lastOrdinal }]) => ({
    bucket,
    checksum,
    count,
    lastOrdinal,
    ops: runs.flatMap((run) => {
      const space = new ByteSpace(Buffer.from(run.bytes));
      const ops = new OpRun({ space, at: 8, count: space.view.getUint32(0, true), lastOp: run.lastOrdinal + 1 });
      const sum = Array.from({ length: ops.count }, (_, at) => ops.checksum(at)).reduce((a, b) => (a + b) | 0, 0);
      expect(space.view.getInt32(4, true)).toBe(sum);
      return Array.from({ length: ops.count }, (_, at) => [
        ops.opId(at),
        ops.checksum(at),
        Buffer.from(ops.body(at)).toString('base64'),
      ]);
    }),
  }));
  return { ordinals, lookups, runs };
}

test('packed effects are what the rows amount to one by one', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 40 }), (rows) => {
      const all = packed(rows);
      const known = new Set(rows.flatMap(({ isKnown }, at) => (isKnown ? [at] : [])));
      for (const left of [new Set<number>(), known]) {
        const effects = new PackedEffects(all, left, new Arena());
        while (effects.packNext());
        const one = new Assembly();
        for (const [at, { key, effect }] of rows.entries()) if (!left.has(at)) one.add(1, key, effect);
        expect(shown(effects)).toEqual(shown(one.seal()));
      }
    }),
    { numRuns: 60, seed: 3 },
  );
});

test('packed groups hold all slots, by number and hash', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 200 }), (rows) => {
      const all = packed(rows);
      const packer = new PackedGroups(all, new Arena());
      while (packer.packNext());
      const groups = packer.groups.map(unpackGroup);
      for (const [at, { key, effect }] of rows.entries()) {
        const number = packer.numbers[at] as number;
        const slot = groups[Math.floor(number / GROUP_SLOTS)]?.[number % GROUP_SLOTS] as Buffer;
        const stored = readSlot(slot, number);
        expect(stored.key).toBe(key);
        expect(Buffer.compare(stored.record, effect.record)).toBe(0);
        expect(packer.hashes[at]).toBe(hashKey(key));
        expect(packer.partials.includes(at)).toBe(effect.partial);
      }
      expect(groups.flat()).toHaveLength(rows.length);
      for (const [at, group] of groups.entries()) {
        expect(group.length === 1 || (packer.groups[at] as Buffer).length <= RECORD_GROUP_BYTES).toBe(true);
      }
    }),
    { numRuns: 60, seed: 4 },
  );
});

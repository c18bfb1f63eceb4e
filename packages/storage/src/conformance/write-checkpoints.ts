/** Clients' proofs that their own writes came back. */
import { expect, test } from 'vitest';
import type { BucketStorage, WriteCheckpoint } from '../bucket-storage.ts';
import { at } from './harness.ts';
import type { WithWorld } from './with-world.ts';

async function newest(storage: BucketStorage, user: string): Promise<WriteCheckpoint | undefined> {
  return (await storage.writeCheckpoints([user])).get(user);
}

export function writeCheckpointConformance(withWorld: WithWorld): void {
  test('ids rise from 1, per user, with the newest head', () =>
    withWorld(async ({ storage }) => {
      expect(await newest(storage, 'ann')).toBeUndefined();
      expect(await storage.createWriteCheckpoint('ann', at(5))).toBe(1n);
      expect(await storage.createWriteCheckpoint('ann', at(6))).toBe(2n);
      expect(await storage.createWriteCheckpoint('bob', at(7))).toBe(1n);
      expect(await newest(storage, 'ann')).toEqual({ id: 2n, head: at(6) });
    }));

  test('requested ids only rise; stale and equal requests answer what is stored', () =>
    withWorld(async ({ storage }) => {
      expect(await storage.requestWriteCheckpoint('ann', 7n, at(5))).toBe(7n);
      expect(await storage.requestWriteCheckpoint('ann', 3n, at(6))).toBe(7n);
      expect(await storage.requestWriteCheckpoint('ann', 7n, at(6))).toBe(7n);
      expect(await newest(storage, 'ann')).toEqual({ id: 7n, head: at(5) });
      expect(await storage.requestWriteCheckpoint('ann', 2n ** 60n, at(8))).toBe(2n ** 60n);
      expect(await storage.createWriteCheckpoint('ann', at(9))).toBe(2n ** 60n + 1n);
    }));

  test('many at once get ids of their own, and they outlive a crash', () =>
    withWorld(async (world) => {
      const ids = await Promise.all(
        Array.from({ length: 20 }, () => world.storage.createWriteCheckpoint('ann', at(5))),
      );
      expect(new Set(ids).size).toBe(20);
      await world.crash();
      expect(await newest(world.storage, 'ann')).toEqual({ id: 20n, head: at(5) });
    }));

  test('many users are looked for at once; those without one are left out', () =>
    withWorld(async ({ storage }) => {
      const users = Array.from({ length: 2000 }, (_, index) => `user ${index}`);
      await Promise.all(users.slice(0, 20).map((user, index) => storage.createWriteCheckpoint(user, at(index))));
      const found = await storage.writeCheckpoints(users);
      expect([...found.keys()].toSorted()).toEqual(users.slice(0, 20).toSorted());
      expect(found.get('user 7')).toEqual({ id: 1n, head: at(7) });
      expect(await storage.writeCheckpoints([])).toEqual(new Map());
    }));

  test('user ids of all kinds are told apart', () =>
    withWorld(async ({ storage }) => {
      const users = ['', 'a', 'a\0', 'é', 'u'.repeat(4000), `${'u'.repeat(4000)}2`];
      for (const [i, user] of users.entries()) await storage.requestWriteCheckpoint(user, BigInt(i + 1), at(i));
      for (const [i, user] of users.entries()) {
        expect(await newest(storage, user)).toEqual({ id: BigInt(i + 1), head: at(i) });
      }
    }));
}

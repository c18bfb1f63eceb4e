/** Clients' proofs that their own writes came back. */
import { expect, test } from 'vitest';
import { at } from './harness.ts';
import type { WithWorld } from './with-world.ts';

export function writeCheckpointConformance(withWorld: WithWorld): void {
  test('ids rise from 1, per user, with the newest head', () =>
    withWorld(async ({ storage }) => {
      expect(await storage.writeCheckpoint('ann')).toBeNull();
      expect(await storage.createWriteCheckpoint('ann', at(5))).toBe(1n);
      expect(await storage.createWriteCheckpoint('ann', at(6))).toBe(2n);
      expect(await storage.createWriteCheckpoint('bob', at(7))).toBe(1n);
      expect(await storage.writeCheckpoint('ann')).toEqual({ id: 2n, head: at(6) });
    }));

  test('requested ids only rise; stale and equal requests answer what is stored', () =>
    withWorld(async ({ storage }) => {
      expect(await storage.requestWriteCheckpoint('ann', 7n, at(5))).toBe(7n);
      expect(await storage.requestWriteCheckpoint('ann', 3n, at(6))).toBe(7n);
      expect(await storage.requestWriteCheckpoint('ann', 7n, at(6))).toBe(7n);
      expect(await storage.writeCheckpoint('ann')).toEqual({ id: 7n, head: at(5) });
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
      expect(await world.storage.writeCheckpoint('ann')).toEqual({ id: 20n, head: at(5) });
    }));

  test('user ids of all kinds are told apart', () =>
    withWorld(async ({ storage }) => {
      const users = ['', 'a', 'a\0', 'é', 'u'.repeat(4000), `${'u'.repeat(4000)}2`];
      for (const [i, user] of users.entries()) await storage.requestWriteCheckpoint(user, BigInt(i + 1), at(i));
      for (const [i, user] of users.entries()) {
        expect(await storage.writeCheckpoint(user)).toEqual({ id: BigInt(i + 1), head: at(i) });
      }
    }));
}

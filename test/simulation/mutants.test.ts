/**
 * The simulation is worth as much as what it catches: each rule is taken out in turn, and some life must end in a
 * violation. Rules whose loss needs a rare interleaving are searched for longer, at full size only.
 */
import { BEFORE_ALL } from '@sluice/core';
import { type ChangeWrite, evaluate } from '@sluice/replication';
import {
  createMemoryStorage,
  type Evaluate,
  type MemoryStorage,
  type StreamFlush,
  type StreamWriter,
} from '@sluice/storage';
import { expect, test } from 'vitest';
import { fullSize } from '../kit/size.ts';
import { simulate } from './run.ts';

type Mutant = (writer: StreamWriter) => Partial<StreamWriter>;
type AnyFlush = StreamFlush<ChangeWrite>;

/** Replaces the evaluation of streamed rows. */
function evaluating(mutate: (original: typeof evaluate) => typeof evaluate): Mutant {
  const mutated = mutate(evaluate) as unknown as Evaluate<never>;
  return (writer) => ({
    flush: (flush) => writer.flush({ ...flush, evaluate: mutated as typeof flush.evaluate }),
  });
}

const mutants: Record<string, { readonly lives: number; readonly mutant: Mutant }> = {
  'a flush does not raise the boundary': {
    lives: 3000,
    mutant: (writer) => ({ flush: (flush) => writer.flush({ ...flush, boundary: BEFORE_ALL }) }),
  },
  'the end of a copy is not sampled': {
    lives: 500,
    mutant: (writer) => ({
      markTableSnapshotDone: (id, generation) => writer.markTableSnapshotDone(id, generation, BEFORE_ALL),
      markAllSnapshotDone: () => writer.markAllSnapshotDone(BEFORE_ALL),
    }),
  },
  'a delete of an unknown row leaves no tombstone': {
    lives: 1000,
    mutant: evaluating(
      (original) => (write, prior, moved, table) =>
        write.kind === 'delete' && prior === null ? null : original(write, prior, moved, table),
    ),
  },
  'a copied row replaces what the stream said': {
    lives: 1000,
    mutant: (writer) => ({
      flushSnapshot: async (flush) => {
        const result = await writer.flushSnapshot({ ...flush, writes: [] });
        if (result.kind === 'flushed') await writer.flush({ ...flush, boundary: BEFORE_ALL } as unknown as AnyFlush);
        return result;
      },
    }),
  },
  'rows that miss values are not completed': {
    lives: 500,
    mutant: evaluating((original) => (write, prior, moved, table) => {
      const effect = original(write, prior, moved, table);
      return effect === null ? null : { ...effect, partial: false };
    }),
  },
  'a cursor is stored before its rows': {
    lives: 500,
    mutant: (writer) => ({
      flushSnapshot: async (flush) => {
        const result = await writer.flushSnapshot({ ...flush, writes: flush.writes.slice(1) });
        return result;
      },
    }),
  },
  'values that were copied travel with a moved row': {
    lives: fullSize ? 30_000 : 0,
    mutant: evaluating(
      (original) => (write, prior, moved, table) =>
        original(write, prior, moved, { ...table, endPosition: BEFORE_ALL }),
    ),
  },
  'a replayed transaction trusts newer records': {
    lives: fullSize ? 30_000 : 0,
    mutant: evaluating(
      (original) => (write, prior, moved, table) =>
        original(write.kind === 'upsert' ? { ...write, replayed: false } : write, prior, moved, table),
    ),
  },
};

for (const [name, { lives, mutant }] of Object.entries(mutants)) {
  test.skipIf(lives === 0)(`caught: ${name}`, { timeout: 600_000 }, async () => {
    let caught: string | null = null;
    for (let seed = 1; seed <= lives && caught === null; seed++) {
      caught = await simulate({
        seed,
        openStorage: async () => createMemoryStorage(),
        reopen: async (storage) => (storage as MemoryStorage).afterCrash(),
        transactions: 12,
        crashes: seed % 3,
        mutant,
      });
    }
    expect(caught).not.toBeNull();
  });
}

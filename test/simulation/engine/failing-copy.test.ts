/** What a failure of the copy leaves to the attempt that it ends. */
import { expect, test } from 'vitest';
import type { Change } from './change.ts';
import { Life } from './life.ts';
import { openSimulatedStorage } from './storages.ts';
import type { Beginning } from './step.ts';

const ROWS = 40;

function tables(): readonly Change[] {
  const rows = Array.from(
    { length: ROWS },
    (_, at): Change => ({ kind: 'insert', oid: '100', row: [String(10 + at), 'ann', `t${at}`, null] }),
  );
  return [
    { kind: 'create table', oid: '100', name: 'alpha' },
    { kind: 'create table', oid: '101', name: 't_a' },
    ...rows,
  ];
}

class FailingCopy {
  readonly #life: Life;
  reads = 0;

  private constructor(life: Life) {
    this.#life = life;
  }

  static async begin(rest: Pick<Beginning, 'concurrency' | 'tightMemory'>): Promise<FailingCopy> {
    const before = [{ kind: 'commit', changes: tables(), flushed: true, visible: true }] as const;
    const beginning = { seed: 0, storage: 'memory', slowReads: false, strategy: 'keys', before, ...rest } as const;
    return new FailingCopy(await Life.begin(beginning, { openStorage: openSimulatedStorage }));
  }

  /** They go on one after the other; reads are of one row, and a chunk is a flush of its own. */
  async go(...labels: readonly string[]): Promise<void> {
    for (const label of labels) {
      expect(this.#life.waiting).toContain(label);
      if (label === 'read alpha') this.reads++;
      const draw = label.startsWith('read') ? 0 : 0.6;
      await this.#life.step({ kind: 'go', labels: [label], draw });
    }
  }

  async fail(label: string): Promise<void> {
    expect(this.#life.waiting).toContain(label);
    await this.#life.step({ kind: 'fail', label });
  }

  /** Everything but time goes on, until somebody waits under the label. */
  async goOnUntil(wanted: string, count = 1): Promise<void> {
    for (let step = 0; this.#life.waiting.filter((label) => label === wanted).length < count; step++) {
      expect(step).toBeLessThan(500);
      const able = this.#life.waiting.filter((label) => !label.startsWith('sleep') && label !== wanted);
      await this.go(able[step % able.length] ?? '');
    }
  }

  async endsWell(): Promise<void> {
    await this.goOnUntil('reportError starts');
    await this.#life.finish();
    await this.#life.dispose();
  }
}

test('a copy that failed ends with the chunks that are under way', async () => {
  const copy = await FailingCopy.begin({ concurrency: 1 });
  await copy.goOnUntil('planned t_a');
  await copy.go('planned t_a');
  await copy.fail('planTable starts');
  await copy.goOnUntil('reportError starts');
  expect(copy.reads).toBeLessThan(ROWS / 4);
  await copy.endsWell();
});

test('memory for rows that wait behind a flush which fails is given back', async () => {
  const copy = await FailingCopy.begin({ concurrency: 2, tightMemory: true });
  await copy.goOnUntil('read alpha', 2);
  await copy.go('read alpha', 'read alpha', 'chunk of alpha', 'chunk of alpha');
  await copy.go('flushSnapshot starts', 'flushSnapshot starts', 'flushSnapshot answers');
  // The first task gathers its second half; the second task waits for memory, and its first flush fails.
  await copy.go('read alpha', 'chunk of alpha');
  await copy.fail('flushSnapshot answers');
  await copy.go('flushSnapshot starts', 'flushSnapshot answers');
  // It learns of that when its second half is gathered; meanwhile the first task wants all there is.
  await copy.go('read alpha', 'chunk of alpha');
  await copy.endsWell();
});

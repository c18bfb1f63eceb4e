/**
 * The order of test files: those that take long begin first, so that no worker is left with one of them at the end while the
 * others have nothing to do. A file's size, which is what the runner goes by in a clean clone, says nothing of that.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Longest first, by what they took on a machine that did nothing else. The others take less than ten seconds. */
const LONG = [
  'simulation/engine/engine',
  'simulation/engine/mutants',
  'e2e/bad-input',
  'checkpoint-model',
  'conformance/storage',
  'cli/cli',
  'e2e/honest-probes',
  'races/tables',
  'e2e/lost-history',
  'crash/paused-holder',
  'e2e/shared-server',
  'dev/embedded-postgres.pg',
  'snapshot.pg',
  'lease.pg',
  'e2e/restored-backup',
  'simulation/interleavings',
  'stream.pg',
  'e2e/copy-control',
  'e2e/promoted-standby',
  'e2e/plan-command',

  'crash/failpoints',
  'crash/chaos',
  'crash/kill-nine',
  'e2e/changes-in-mid-copy',
  'e2e/concurrent-from-second-zero',
  'e2e/copiers',
  'e2e/roles',
  'crash/lost-connections',
  'e2e/bank',
].map((name) => `/${name}.test.ts`);

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

function rank({ moduleId }: TestSpecification): number {
  const index = LONG.findIndex((name) => moduleId.endsWith(name));
  return index < 0 ? LONG.length : index;
}

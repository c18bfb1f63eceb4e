import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/kit/longest-first.ts';
import { PATIENCE_MS } from './test/kit/patience.ts';

const report = process.env['SLUICE_TEST_REPORT'];
const common = {
  exclude: ['**/node_modules/**', '**/dist/**'],
  pool: 'forks' as const,
  // What is waited for is waited for with patience (test/kit/patience.ts), and gives up before its test does.
  testTimeout: 120_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: PATIENCE_MS } },
  globalSetup: ['built-service', 'postgres-template'].map((name) => join(import.meta.dirname, `test/kit/${name}.ts`)),
};
const resolve = { conditions: ['source'] };
const ssr = { resolve };

/** Tests of the whole that run on both storages. */
const onBothStorages = (
  process.env['SLUICE_TEST_SIZE'] === 'full'
    ? [
        'e2e/{sdk,sdk-wire,streams,bank,changes-in-mid-copy,concurrent-from-second-zero,deploy,schema-changes}',
        'e2e/{copiers,copy-control,copy-schedule,lost-history,roles,wal-bounded}',
        'crash/{kill-nine,lost-connections,restart-at-half}',
      ]
    : ['e2e/{sdk,streams}', 'crash/kill-nine']
).map((name) => `test/${name}.test.ts`);

/** Tests of the whole that mostly wait: for a lease to run out, a server to fall silent, nothing to happen. */
const waiting = [
  'e2e/{bad-input,copy-control,honest-probes,lost-history,plan-command,promoted-standby,restored-backup,shared-server}',
  'crash/paused-holder',
].map((name) => `test/${name}.test.ts`);

/** For two cores: while one of them waits for a server or a clock, the others compute. */
const PARTS = { maxWorkers: 3, sequence: { groupOrder: 0 } };
/** After the rest, and few at a time: each brings a database, a service and a load of its own. */
const WHOLE = { maxWorkers: 2, sequence: { groupOrder: 1 } };

export default defineConfig({
  test: {
    ...(report === undefined ? {} : { reporters: ['default', ['json', { outputFile: report }]] }),
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        resolve,
        ssr,
        test: {
          ...common,
          ...PARTS,
          name: 'parts',
          include: ['packages/**/*.test.ts', 'modules/**/*.test.ts', 'service/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: [...common.exclude, 'test/e2e/**', 'test/crash/**'],
        },
      },
      {
        resolve,
        ssr,
        test: { ...common, ...PARTS, name: 'whole, waiting', include: waiting },
      },
      {
        resolve,
        ssr,
        test: {
          ...common,
          ...WHOLE,
          name: 'whole',
          include: ['test/e2e/**/*.test.ts', 'test/crash/**/*.test.ts'],
          exclude: [...common.exclude, ...waiting],
        },
      },
      {
        resolve,
        ssr,
        test: {
          ...common,
          ...WHOLE,
          // The same tests once more, with buckets stored in Postgres.
          name: 'whole, storage in Postgres',
          include: onBothStorages,
          env: { SLUICE_TEST_STORAGE: 'postgresql' },
        },
      },
    ],
  },
});

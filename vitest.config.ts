import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const report = process.env['SLUICE_TEST_REPORT'];
const common = {
  exclude: ['**/node_modules/**', '**/dist/**'],
  pool: 'forks' as const,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  globalSetup: join(import.meta.dirname, 'test/kit/postgres-template.ts'),
};
const resolve = { conditions: ['source'] };
const ssr = { resolve };

/** Tests of the whole that run on both storages. */
const onBothStorages = (
  process.env['SLUICE_TEST_SIZE'] === 'full'
    ? [
        'e2e/{sdk,sdk-wire,streams,bank,changes-in-mid-copy,concurrent-from-second-zero,deploy,schema-changes}',
        'e2e/{copiers,roles}',
        'crash/{kill-nine,lost-connections}',
      ]
    : ['e2e/{sdk,streams}', 'crash/kill-nine']
).map((name) => `test/${name}.test.ts`);

/** Tests of the whole that mostly wait: for a lease to run out, a server to fall silent, nothing to happen. */
const waiting = [
  'e2e/{bad-input,copy-control,honest-probes,lost-history,plan-command,promoted-standby,restored-backup,shared-server}',
  'crash/paused-holder',
].map((name) => `test/${name}.test.ts`);

export default defineConfig({
  test: {
    ...(report === undefined ? {} : { reporters: ['default', ['json', { outputFile: report }]] }),
    projects: [
      {
        resolve,
        ssr,
        test: {
          ...common,
          name: 'parts',
          include: ['packages/**/*.test.ts', 'modules/**/*.test.ts', 'service/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: [...common.exclude, 'test/e2e/**', 'test/crash/**'],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve,
        ssr,
        test: {
          ...common,
          name: 'whole, waiting',
          include: waiting,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve,
        ssr,
        test: {
          ...common,
          // One at a time and after the rest: these bring a database, a service and a load of their own to two cores.
          name: 'whole',
          include: ['test/e2e/**/*.test.ts', 'test/crash/**/*.test.ts'],
          exclude: [...common.exclude, ...waiting],
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
      {
        resolve,
        ssr,
        test: {
          ...common,
          // The same tests once more, with buckets stored in Postgres.
          name: 'whole, storage in Postgres',
          include: onBothStorages,
          env: { SLUICE_TEST_STORAGE: 'postgresql' },
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});

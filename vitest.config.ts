import { defineConfig } from 'vitest/config';

const report = process.env['SLUICE_TEST_REPORT'];

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: ['packages/**/*.test.ts', 'modules/**/*.test.ts', 'service/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    pool: 'forks',
    ...(report === undefined ? {} : { reporters: ['default', ['json', { outputFile: report }]] }),
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

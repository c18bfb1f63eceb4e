/**
 * For tests: what starts the program with Node. As it was built, if this run of tests has built it (test/kit/built-service.ts),
 * or from source.
 */
import { fileURLToPath } from 'node:url';

const IS_BUILT = process.env['SLUICE_TEST_BUILT'] !== undefined || !import.meta.resolve('@sluice/core').endsWith('.ts');

const CLI = fileURLToPath(new URL(IS_BUILT ? '../../dist/cli.js' : '../cli.ts', import.meta.url));

/** Arguments of Node, before those of the program. */
export const PROGRAM: readonly string[] = IS_BUILT
  ? [CLI]
  : ['--conditions=source', '--import', import.meta.resolve('tsx'), CLI];

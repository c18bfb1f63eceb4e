/** `npm run check`: format, type-aware lint, types, unused code. Runs all of it and says which failed. */
import { spawnSync } from 'node:child_process';
import { root } from './setup.mjs';

const steps = [
  ['format', ['biome', 'format', '.']],
  ['lint', ['oxlint', '--type-aware']],
  ['types', ['tsc', '-b']],
  ['unused code', ['knip']],
  ['tidy', ['vitest', 'run', 'test/tidy.test.ts']],
];

const failed = [];
for (const [name, words] of steps) {
  console.log(`— ${name}`);
  const { status } = spawnSync('npx', ['--no-install'].concat(words), {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) failed.push(name);
}
console.log(failed.length === 0 ? 'check: all clean' : `check: failed: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);

/**
 * For a run of tests: compiles the service, as people run it. A process of it begins in half the time that it takes from
 * source, and the tests begin a few hundred. Takes a moment where nothing has changed.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SERVICE = fileURLToPath(new URL('../../service', import.meta.url));

/** Where it does not compile, its processes run from source, and `npm run check` says what is wrong. */
export async function setup(): Promise<void> {
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const compiler = spawn(process.execPath, [join(typescript, 'bin', 'tsc'), '-b', SERVICE], { stdio: 'ignore' });
  const code = await new Promise((resolve, reject) => compiler.once('error', reject).once('close', resolve));
  if (code === 0) process.env['SLUICE_TEST_BUILT'] = 'yes';
  else console.warn('the service does not compile: its processes run from source');
}

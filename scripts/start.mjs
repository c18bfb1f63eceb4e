/** `npm start [-- --config FILE]`: install and build if needed, then run the service in the foreground. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, run, setup } from './setup.mjs';

setup('start');
run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b', 'service']);

const cli = join(root, 'service', 'bin', 'sluice.mjs');
// The flag of the first line of `cli`, which only a shell reads.
const service = spawn(process.execPath, ['--max-semi-space-size=32', cli, 'start', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => service.kill(signal));
service.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 0 : 1)));

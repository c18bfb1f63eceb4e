/** For a run of tests: a place where the first server that is started leaves its data directory for the others to copy. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Once, though each project of the run asks for it. */
export async function setup(): Promise<void> {
  process.env['SLUICE_TEST_POSTGRES_TEMPLATES'] ??= await mkdtemp(join(tmpdir(), 'sluice-postgres-templates-'));
}

export async function teardown(): Promise<void> {
  const directory = process.env['SLUICE_TEST_POSTGRES_TEMPLATES'];
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
}

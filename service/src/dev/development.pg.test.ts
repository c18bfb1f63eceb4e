import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PROGRAM } from './program.ts';
import type { DevFile } from './dev-file.ts';

const running = new Set<ChildProcess>();
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-start-'));
  await chmod(folder, 0o711);
});
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

function sluice(...args: string[]): Run {
  const child = spawn(process.execPath, [...PROGRAM, ...args], { cwd: folder });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part.toString()));
  const exit = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return { child, output: () => output, exit };
}

async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  for (let turn = 0; turn < 600; turn++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not reached: ${what}`);
}

async function devFile(): Promise<DevFile> {
  return JSON.parse(await readFile(join(folder, '.sluice', 'dev.json'), 'utf8')) as DevFile;
}

async function started(run: Run): Promise<DevFile> {
  await until('the banner', () => run.output().includes('Ctrl-C'));
  const file = await devFile();
  await until('ready', async () => (await fetch(`${file.url}/probes/readiness`)).status === 200);
  return file;
}

it('a bare folder: a database, rows, a token, and a client that sees them; twice', async () => {
  const blocker = createServer();
  await new Promise<void>((resolve, reject) =>
    blocker
      .once('error', () => resolve())
      .listen(8080, '127.0.0.1', resolve)
      .once('close', reject),
  );
  const first = sluice('start');
  const file = await started(first);
  blocker.removeAllListeners('close').close();
  expect(first.output()).toContain('npx sluice sync');
  expect(first.output()).toContain('(port 8080 is taken)');
  expect((await stat(join(folder, '.sluice', 'dev.json'))).mode & 0o077).toBe(0);

  const synced = sluice('sync', '--once');
  expect(await synced.exit).toBe(0);
  expect(synced.output()).toContain('PUT    users/ann {"id":"ann","name":"Ann"}');
  expect(synced.output()).toMatch(/PUT {4}todos\//);

  const live = sluice('sync');
  await until('the first checkpoint', () => live.output().includes('complete'));
  const source = new pg.Client({ connectionString: file.source_uri });
  await source.connect();
  await source.query(`UPDATE users SET name = 'Anna' WHERE id = 'ann'`);
  await source.end();
  await until('the change', () => live.output().includes('"name":"Anna"'));
  live.child.kill();

  const status = sluice('status');
  expect(await status.exit).toBe(0);
  expect(status.output()).toContain('public.todos');

  const second = sluice('start');
  expect(await second.exit).toBe(1);
  expect(second.output()).toContain('[SLU_C0006]');
  expect(second.output()).toContain('running already');

  first.child.kill('SIGTERM');
  expect(await first.exit).toBe(0);
  await expect(stat(join(folder, '.sluice', 'postgres', 'postmaster.pid'))).rejects.toThrow('ENOENT');

  const again = sluice('start');
  const after = await started(again);
  expect(after.admin_token).toBe(file.admin_token);
  const resumed = sluice('sync', '--once');
  expect(await resumed.exit).toBe(0);
  expect(resumed.output()).toContain('"name":"Anna"');
  // Nothing was copied again: the stream is still the first.
  expect(resumed.output()).toContain('1#directory[]');
  again.child.kill('SIGINT');
  expect(await again.exit).toBe(0);
  expect(again.output()).not.toMatch(/\n\s+at /);
}, 120_000);

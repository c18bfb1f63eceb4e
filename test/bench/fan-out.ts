/**
 * Fan-out: very many connected clients, of the real service in its own process, over loopback. How long one source
 * transaction takes to each of them that it concerns, and what a checkpoint costs the service for those it does not.
 * There is no physical limit to compare with; the clients share this machine with the service.
 */
import { readFileSync } from 'node:fs';
import { request, type ClientRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';
import type { BenchOptions } from './options.ts';
import { ReportBuilder } from './report.ts';

const RULES = `bucket_definitions:
  everyone:
    data:
      - SELECT * FROM notices
  own:
    parameters: SELECT request.user_id() AS user_id
    data:
      - SELECT * FROM own WHERE user_id = bucket.user_id
`;
const SAMPLES = 20;
const IDLE_CHECKPOINTS = 200;
/** The kernel's clock ticks, in which it counts processor time. */
const TICK_MS = 10;

type StorageKind = 'lmdb' | 'postgresql';

/** `rows` is the number of clients. */
export async function benchFanOut({ rows: clients }: BenchOptions): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  for (const storage of ['lmdb', 'postgresql'] as const) {
    // With fsync: without it Postgres sends a commit when its WAL writer comes by, up to 200 ms later.
    const postgres = await startPostgres({ durable: true, settings: { max_connections: '100' } });
    try {
      await fanOut(report, { postgres, clients, storage });
    } finally {
      await postgres.stop();
    }
  }
  return report;
}

interface FanOut {
  readonly postgres: TestPostgres;
  readonly clients: number;
  readonly storage: StorageKind;
}

async function fanOut(report: ReportBuilder, { postgres, clients: count, storage }: FanOut): Promise<void> {
  const database = await sourceDatabase(postgres, count);
  const buckets = await postgres.createDatabase();
  const service = await ServiceProcess.start({
    sourceUri: database.uri,
    rules: RULES,
    config: storage === 'lmdb' ? {} : { storage: { type: 'postgresql', uri: buckets.uri, sslmode: 'disable' } },
  });
  const clients: FanOutClient[] = [];
  try {
    await service.until('clients are served', async () => (await service.probe('readiness')) === 200, 120_000);
    const alone = await costOfCheckpoint(database, service, 'a0');
    for (let index = 0; index < count; index++) {
      clients.push(await FanOutClient.connect(service.url, await tokenFor({ sub: `user${index}`, claims: {} })));
    }
    await Promise.all(clients.map((client) => client.completes(1)));
    const idle = await costOfCheckpoint(database, service, 'a1');
    report.add({
      what: `${storage}: service time of a checkpoint that concerns none of ${count} clients`,
      unit: 'ms',
      rate: idle,
      detail: { withoutClients: alone, microsecondsPerClient: ((idle - alone) * 1000) / count },
    });
    for (const [what, sql] of [
      [
        'one row to each',
        (n: number) => `INSERT INTO own SELECT 'r' || ${n} || '-' || u, 'user' || u, 'news'
        FROM generate_series(0, ${count - 1}) AS u`,
      ],
      ['one row to all', (n: number) => `INSERT INTO notices VALUES ('n${n}', 'news')`],
    ] as const) {
      await arrivals(report, { what: `${storage}: ${what} of ${count} clients`, database, service, clients, sql });
    }
  } finally {
    for (const client of clients) client.disconnect();
    await service.dispose();
  }
}

async function sourceDatabase(postgres: TestPostgres, users: number): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  await database.query('CREATE TABLE notices (id text PRIMARY KEY, body text)');
  await database.query('CREATE TABLE own (id text PRIMARY KEY, user_id text, body text)');
  await database.query(`INSERT INTO own SELECT 'first-' || u, 'user' || u, 'x' FROM generate_series(1, ${users}) AS u`);
  await database.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  return database;
}

/** Processor time of the service, in ms, for one transaction of a user who is not connected. */
async function costOfCheckpoint(database: TestDatabase, service: ServiceProcess, run: string): Promise<number> {
  await sleep(2_000);
  const before = processMs(service.pid);
  for (let n = 0; n < IDLE_CHECKPOINTS; n++) {
    await database.query(`INSERT INTO own VALUES ('${run}-${n}', 'nobody', 'x')`);
    await sleep(20);
  }
  return (processMs(service.pid) - before) / IDLE_CHECKPOINTS;
}

interface Arrivals {
  readonly what: string;
  readonly database: TestDatabase;
  readonly service: ServiceProcess;
  readonly clients: readonly FanOutClient[];
  readonly sql: (sample: number) => string;
}

async function arrivals(report: ReportBuilder, { what, database, service, clients, sql }: Arrivals): Promise<void> {
  const medians: number[] = [];
  const p95s: number[] = [];
  const before = processMs(service.pid);
  for (let sample = 0; sample < SAMPLES; sample++) {
    const next = clients.map((client) => client.completes(client.completed + 1));
    await database.query(sql(sample));
    const committedAt = performance.now();
    const times = (await Promise.all(next)).map((at) => Math.max(0, at - committedAt)).toSorted((a, b) => a - b);
    medians.push(quantile(times, 0.5));
    p95s.push(quantile(times, 0.95));
    await sleep(300);
  }
  const sorted = medians.toSorted((a, b) => a - b);
  report.add({
    what: `${what}, from source commit to complete checkpoint, median client`,
    unit: 'ms',
    rate: quantile(sorted, 0.5),
    detail: {
      p95Client: quantile(
        p95s.toSorted((a, b) => a - b),
        0.5,
      ),
      worstMedian: quantile(sorted, 1),
      // Of code that is not compiled yet.
      firstMedian: medians[0] ?? 0,
      serviceMs: (processMs(service.pid) - before) / SAMPLES,
      samples: SAMPLES,
    },
  });
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
}

/** User and system time of a process; Linux only. */
function processMs(pid: number | undefined): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Counts complete checkpoints and looks at nothing else. */
class FanOutClient {
  completed = 0;
  readonly #request: ClientRequest;
  #waiting: { readonly count: number; readonly arrived: (at: number) => void }[] = [];

  private constructor(outgoing: ClientRequest) {
    this.#request = outgoing;
  }

  static async connect(url: string, token: string): Promise<FanOutClient> {
    const outgoing = request(`${url}/sync/stream`, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', authorization: `Token ${token}`, accept: 'application/x-ndjson' },
    });
    const client = new FanOutClient(outgoing);
    await new Promise<void>((resolve, reject) => {
      outgoing.once('error', reject);
      outgoing.once('response', (response) => {
        if (response.statusCode !== 200) {
          reject(new Error(`status ${response.statusCode}`));
          return;
        }
        response.on('data', (part: Buffer) => client.#look(part.toString('latin1')));
        response.on('error', () => {});
        resolve();
      });
      outgoing.end('{"raw_data":true,"include_checksum":true}');
    });
    return client;
  }

  /** A line is written in one piece, so that its name is never cut. */
  #look(part: string): void {
    this.completed += part.split('"checkpoint_complete"').length - 1;
    const now = performance.now();
    this.#waiting = this.#waiting.filter(({ count, arrived }) => {
      if (this.completed >= count) arrived(now);
      return this.completed < count;
    });
  }

  /** When the checkpoint of that number was complete. */
  completes(count: number): Promise<number> {
    return new Promise((resolve) => {
      if (this.completed >= count) resolve(performance.now());
      else this.#waiting.push({ count, arrived: resolve });
    });
  }

  disconnect(): void {
    this.#request.on('error', () => {});
    this.#request.destroy();
  }
}

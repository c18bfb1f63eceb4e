/**
 * Download: all ops of one bucket to one client over HTTP, from the real service in its own process; against a bare scan
 * of as many ops in storage. Beside it what a second client gets, when code and pages are warm, and what the client of
 * this bench takes from a server that only writes. And the latency from a commit in the source to the line at the client.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SyncClient } from '../kit/client.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';
import { BENCH_RULES, benchDatabase } from './bench-source.ts';
import { drainBareServer } from './bare-drain.ts';
import type { BenchOptions } from './options.ts';
import { downloadAll, type RawDownload } from './raw-download.ts';
import { type Figure, ReportBuilder } from './report.ts';
import { rawStorageScan } from './storage-write.ts';

const PROMISED_RATIO = 0.25;
const USER = { sub: 'bench', claims: {} };
const LATENCY_SAMPLES = 200;

export async function benchDownload(options: BenchOptions): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const postgres = await startPostgres({ settings: { max_wal_size: '8GB', shared_buffers: '256MB' } });
  try {
    await serveAll(postgres, report, options);
  } finally {
    await postgres.stop();
  }
  // Without fsync Postgres sends a commit when its WAL writer comes by, up to 200 ms later.
  const durable = await startPostgres({ durable: true });
  try {
    await measureLatency(durable, report);
  } finally {
    await durable.stop();
  }
  return report;
}

async function serveAll(postgres: TestPostgres, report: ReportBuilder, { rows }: BenchOptions): Promise<void> {
  const database = await benchDatabase(postgres, rows, 'uuid');
  const service = await ServiceProcess.start({ sourceUri: database.uri, rules: BENCH_RULES });
  try {
    await service.until('clients are served', async () => (await service.probe('readiness')) === 200, 600_000);
    const scan = await rawStorageScan({ path: service.storagePath });
    const limit = report.add({
      what: 'bare storage scan',
      unit: 'ops/s',
      rate: scan.opsPerSecond,
      seconds: scan.seconds,
    });
    const token = await tokenFor(USER);
    for (const format of ['bson', 'ndjson'] as const) {
      const request = { url: service.url, token, format, gzip: false };
      const first = await downloadAll(request);
      report.compare(report.add(figureOf(`download, ${format}`, rows, first)), limit, PROMISED_RATIO);
      const second = await downloadAll(request);
      report.compare(report.add(figureOf(`download, ${format}, second client`, rows, second)), limit, null);
      const packed = await downloadAll({ ...request, gzip: true });
      report.compare(report.add(figureOf(`download, ${format} + gzip`, rows, packed)), limit, null);
      if (format === 'bson')
        report.add(figureOf('as many bytes from a bare server', rows, await drainBareServer(first)));
    }
  } finally {
    await service.dispose();
  }
}

function figureOf(what: string, rows: number, done: RawDownload): Figure {
  return {
    what,
    unit: 'ops/s',
    rate: rows / done.seconds,
    seconds: done.seconds,
    detail: { megabytes: done.bytes / 1e6, firstByteMs: done.secondsToFirstByte * 1000, lines: done.lines },
  };
}

/** One row after another into a quiet source; a client waits for each. */
async function measureLatency(postgres: TestPostgres, report: ReportBuilder): Promise<void> {
  const database = await benchDatabase(postgres, 1000, 'serial');
  const service = await ServiceProcess.start({ sourceUri: database.uri, rules: BENCH_RULES });
  const connection = await database.connect();
  try {
    await service.until('clients are served', async () => (await service.probe('readiness')) === 200, 60_000);
    const client = new SyncClient({ endpoint: service.url, token: await tokenFor(USER) });
    const arrivedAt = new Map<string, number>();
    const connected = client.connect((line) => {
      const data = line['data'] as { readonly data: readonly { readonly object_id: string }[] } | undefined;
      for (const op of data?.data ?? []) arrivedAt.set(op.object_id, performance.now());
    });
    await client.until((synced) => synced.stats.completes > 0);
    const milliseconds: number[] = [];
    for (let sample = 0; sample < LATENCY_SAMPLES; sample++) {
      const id = 5_000_000 + sample;
      await connection.query(`INSERT INTO items (id, title) VALUES (${id}, 'late')`);
      const committedAt = performance.now();
      while (!arrivedAt.has(String(id))) await sleep(1);
      milliseconds.push(Math.max(0, (arrivedAt.get(String(id)) ?? 0) - committedAt));
      await sleep(10);
    }
    client.disconnect();
    await connected;
    milliseconds.sort((a, b) => a - b);
    const quantile = (share: number) => milliseconds[Math.floor(share * (milliseconds.length - 1))] ?? 0;
    report.add({
      what: 'latency from source commit to client line, p50',
      unit: 'ms',
      rate: quantile(0.5),
      detail: { p95: quantile(0.95), max: quantile(1), samples: milliseconds.length },
    });
  } finally {
    await connection.end();
    await service.dispose();
  }
}

/**
 * `npm run bench -- snapshot|tables|catch-up|stream|download|fanout|publish|evaluate [--rows N] [--json] [--profile] [--storage postgresql] [--copiers N]`: our rate, the physical limit measured in
 * the same run on the same data, and the ratio of the two. Figures are printed as they come; with --json the whole
 * report goes to standard output as one document.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { benchCatchUp } from './catch-up.ts';
import { benchDownload } from './download.ts';
import { benchEvaluate } from './evaluate.ts';
import { benchFanOut } from './fan-out.ts';
import { benchPublish } from './publish.ts';
import type { BenchOptions } from './options.ts';
import type { ReportBuilder } from './report.ts';
import { benchSnapshot } from './snapshot.ts';
import { benchSnapshotIntoPostgres } from './snapshot-postgres.ts';
import { benchStream } from './stream.ts';
import { benchTables } from './tables.ts';

interface Bench {
  readonly run: (options: BenchOptions) => Promise<ReportBuilder>;
  /** In place of `run`, with `--storage postgresql`. */
  readonly onPostgres?: (options: BenchOptions) => Promise<ReportBuilder>;
  readonly rows: number;
}

const BENCHES: Readonly<Record<string, Bench>> = {
  snapshot: { run: benchSnapshot, onPostgres: benchSnapshotIntoPostgres, rows: 1_000_000 },
  tables: { run: benchTables, rows: 5_000_000 },
  'catch-up': { run: benchCatchUp, rows: 100_000 },
  stream: { run: benchStream, rows: 100_000 },
  download: { run: benchDownload, rows: 1_000_000 },
  fanout: { run: benchFanOut, rows: 1_000 },
  publish: { run: benchPublish, rows: 200_000 },
  evaluate: { run: benchEvaluate, rows: 200_000 },
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rows: { type: 'string' },
      json: { type: 'boolean' },
      profile: { type: 'boolean' },
      copiers: { type: 'string', default: '0' },
      storage: { type: 'string', default: 'lmdb' },
    },
  });
  const name = positionals[0] ?? '';
  const bench = BENCHES[name];
  const run = values.storage === 'postgresql' ? bench?.onPostgres : bench?.run;
  if (bench === undefined || run === undefined) {
    const names = Object.keys(BENCHES).join('|');
    process.stderr.write(
      `usage: npm run bench -- ${names} [--rows N] [--json] [--profile]\n       npm run bench -- snapshot [--storage postgresql] [--copiers N]\n`,
    );
    return 2;
  }
  const options = {
    rows: Number(values.rows ?? bench.rows),
    profile: values.profile ?? false,
    copiers: Number(values.copiers),
  };
  process.stderr.write(`${name}, ${options.rows.toLocaleString('en')} rows\n`);
  const report = await run(options);
  const machine = { cores: availableParallelism(), node: process.version };
  if (values.json) {
    const document = report.build({ bench: name, machine, parameters: { ...options } });
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  }
  return 0;
}

process.exitCode = await main();

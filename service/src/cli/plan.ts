/** `sluice plan`: which tables would be copied, how they are cut and how long that takes, before anything is read. */
import { noFailpoints, silentLogger, SluiceError, systemClock, systemRandom } from '@sluice/core';
import { type ChangeSource, type DiscoveredTable, missingTables, type ReadPlan } from '@sluice/replication';
import type { SyncRules } from '@sluice/sync-rules';
import { type Config, loadConfig } from '../config/resolve.ts';
import { readText } from '../config/source-schema.ts';
import { sourceFactory } from '../registry.ts';
import { parseRules, requireRules } from '../rules.ts';

export interface PlanOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly rowsPerSecond?: string;
}

export interface PlanDocument {
  readonly tables: readonly TablePlanned[];
  readonly total: Amount;
  readonly rate: { readonly rowsPerSecond: number; readonly because: string };
}

interface Amount {
  readonly tasks: number;
  readonly rows: number;
  readonly bytes: number;
  /** At the rate that is named. */
  readonly minutes: number;
}

interface TablePlanned extends Amount {
  readonly schema: string;
  readonly name: string;
  /** Null if it cannot be replicated; then `problem` says why. */
  readonly plan: ReadPlan | null;
  readonly problem: { readonly code: string; readonly message: string } | null;
}

/** Half of what one process copies on two cores into LMDB: rows of a few hundred bytes, one bucket each. */
const ROWS_PER_SECOND_ASSUMED = 50_000;

/** @returns 0 if every table of the rules can be copied, 1 if not. @throws SluiceError as `start` and `validate` do */
export async function plan(file: string | undefined, options: PlanOptions): Promise<number> {
  const config = loadConfig(options.config, process.env);
  const rules = rulesOf(file, config, options.config);
  const tools = { clock: systemClock, random: systemRandom, logger: silentLogger, failpoints: noFailpoints };
  const source = (await sourceFactory(config.connection, config.snapshot.strategy, tools))('unused_by_plan');
  try {
    const document = await planDocument(source, rules, rateOf(options, config));
    process.stdout.write(options.json === true ? `${JSON.stringify(document, null, 2)}\n` : planText(document));
    return document.tables.some((table) => table.problem !== null) ? 1 : 0;
  } finally {
    await source.close();
  }
}

function rulesOf(file: string | undefined, config: Config, configFile: string): SyncRules {
  if (file !== undefined) return requireRules(parseRules(readText(file)), file);
  if (config.syncRules !== null) return requireRules(parseRules(config.syncRules.content), config.syncRules.name);
  throw new SluiceError('SLU_C0005', `${configFile} names no sync rules`, { hint: 'Give a file: sluice plan FILE.' });
}

function rateOf({ rowsPerSecond }: PlanOptions, { snapshot }: Config): PlanDocument['rate'] {
  const given = rowsPerSecond === undefined ? null : Number(rowsPerSecond);
  if (given !== null && !(given > 0)) {
    throw new SluiceError('SLU_C0003', `--rows-per-second must be a number above 0, not ${rowsPerSecond}`);
  }
  const wanted =
    given === null
      ? { rowsPerSecond: ROWS_PER_SECOND_ASSUMED, because: 'assumed; --rows-per-second gives another' }
      : { rowsPerSecond: given, because: '--rows-per-second' };
  const max = snapshot.throttle.rowsPerSecondMax;
  if (max === null || max >= wanted.rowsPerSecond) return wanted;
  return { rowsPerSecond: max, because: 'snapshot.max_rows_per_second' };
}

async function planDocument(source: ChangeSource, rules: SyncRules, rate: PlanDocument['rate']): Promise<PlanDocument> {
  const found = await source.discover(rules.tablePatterns);
  const tables: TablePlanned[] = [];
  for (const table of found) tables.push(await tablePlanned(source, table, rate.rowsPerSecond));
  for (const { table, code, message } of missingTables(rules, found)) {
    const [schema, name] = splitName(table);
    tables.push({ schema, name, plan: null, problem: { code, message }, tasks: 0, rows: 0, bytes: 0, minutes: 0 });
  }
  const sum = (of: (table: TablePlanned) => number) => tables.reduce((total, table) => total + of(table), 0);
  const rows = sum((table) => table.rows);
  const total = { tasks: sum((table) => table.tasks), rows, bytes: sum((table) => table.bytes) };
  return { tables, total: { ...total, minutes: minutesOf(rows, rate.rowsPerSecond) }, rate };
}

function splitName(table: string): [string, string] {
  const dot = table.indexOf('.');
  return [table.slice(0, dot), table.slice(dot + 1)];
}

async function tablePlanned(source: ChangeSource, table: DiscoveredTable, rate: number): Promise<TablePlanned> {
  const { schema, name } = table.relation;
  if (table.problem !== null) {
    return { schema, name, plan: null, problem: table.problem, tasks: 0, rows: 0, bytes: 0, minutes: 0 };
  }
  const read = await source.planTable(table.relation);
  const rows = read.tasks.reduce((sum, task) => sum + task.rowsEstimate, 0);
  const bytes = read.tasks.reduce((sum, task) => sum + task.bytesEstimate, 0);
  return {
    schema,
    name,
    plan: read,
    problem: null,
    tasks: read.tasks.length,
    rows,
    bytes,
    minutes: minutesOf(rows, rate),
  };
}

function minutesOf(rows: number, rate: number): number {
  return Math.round((rows / rate / 60) * 100) / 100;
}

function planText({ tables, total, rate }: PlanDocument): string {
  const name = (table: TablePlanned) => `${table.schema}.${table.name}`;
  const width = Math.max(5, ...tables.map((table) => name(table).length));
  const amounts = ({ tasks, rows, bytes, minutes }: Amount) =>
    `${String(tasks).padStart(5)} ${rows.toLocaleString('en').padStart(15)} ${megabytes(bytes)} ${minutes.toFixed(2).padStart(9)}`;
  const lines = tables.map((table) =>
    table.problem === null
      ? `${name(table).padEnd(width)}  ${(table.plan?.strategy ?? '').padEnd(8)} ${amounts(table)}`
      : `${name(table).padEnd(width)}  [${table.problem.code}] ${table.problem.message}`,
  );
  return [
    `${'table'.padEnd(width)}  strategy tasks      about rows           MB   minutes`,
    ...lines,
    `${'total'.padEnd(width)}  ${''.padEnd(8)} ${amounts(total)}`,
    `at ${rate.rowsPerSecond.toLocaleString('en')} rows/s (${rate.because})`,
    '',
  ].join('\n');
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 1 }).padStart(12);
}

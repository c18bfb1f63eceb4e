/** `sluice status`: the status document as a page of text. */
import { SluiceError, systemClock } from '@sluice/core';
import type { TableStatus } from '../status/copy.ts';
import type { StatusDocument, StreamStatus } from '../status/model.ts';
import { serverAddress, type ServerAddress } from './server-address.ts';

export interface StatusOptions {
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
}

const WATCH_MS = 1_000;

/** @returns 0 if the service is ready, 1 if not */
export async function status(options: StatusOptions): Promise<number> {
  const address = serverAddress(options, 'admin_token');
  for (;;) {
    const document = await fetchStatus(address);
    if (options.watch === true) process.stdout.write('\u001b[2J\u001b[H');
    process.stdout.write(options.json === true ? `${JSON.stringify(document, null, 2)}\n` : statusText(document));
    if (options.watch !== true) return document.service.ready ? 0 : 1;
    await systemClock.sleep(WATCH_MS);
  }
}

async function fetchStatus({ url, token }: ServerAddress): Promise<StatusDocument> {
  let response: Response;
  try {
    response = await fetch(`${url}/api/status`, { headers: { authorization: `Token ${token}` } });
  } catch (cause) {
    throw new SluiceError('SLU_C0009', `nobody answers at ${url}`, { cause });
  }
  if (response.ok) return (await response.json()) as StatusDocument;
  throw new SluiceError(
    'SLU_C0009',
    `${url} answered with status ${response.status}: ${(await response.text()).slice(0, 300)}`,
  );
}

function statusText(document: StatusDocument): string {
  const { service, streams, clients } = document;
  const lines = [
    `Sluice ${service.version}, up ${duration(service.uptimeSeconds)}, ${service.ready ? 'ready' : 'NOT READY'}: ${service.reason}`,
    `Clients: ${clients.connected} of ${clients.max} (${clients.byActivity.current} current, ${clients.byActivity.downloading} downloading, ${clients.byActivity.blocked} blocked)`,
    ...streams.flatMap(streamText),
  ];
  return `${lines.join('\n')}\n`;
}

function streamText(stream: StreamStatus): string[] {
  const { checkpoint, positions, lag, slot, gates, progress } = stream;
  const lines = ['', `Stream ${stream.id}: ${stream.lifecycle}${stream.phase === null ? '' : `, ${stream.phase}`}`];
  if (stream.error !== null)
    lines.push(`  error      [${stream.error.code}] ${stream.error.message}`, `             → ${stream.error.hint}`);
  for (const each of stream.problems)
    lines.push(`  problem    ${each.table}: [${each.code}] ${each.message}`, `             → ${each.hint}`);
  lines.push(`  checkpoint ${checkpoint === null ? 'none yet' : `op ${checkpoint.opId} at ${checkpoint.position}`}`);
  if (gates.closed !== null)
    lines.push(`  gate       ${gates.closed} is closed; it waits for ${gates[gates.closed].waitsFor}`);
  lines.push(
    `  positions  source ${positions.sourceHead ?? '?'}, durable ${positions.durable ?? '?'}, acknowledged ${positions.acknowledged ?? '?'}`,
    `  lag        ${lag.bytes === null ? '?' : bytes(lag.bytes)}, ${lag.seconds === null ? '?' : `${lag.seconds} s`}`,
  );
  if (slot !== null) {
    const budget = slot.budgetBytes === null ? '' : `, ${bytes(slot.budgetBytes)} left`;
    lines.push(
      `  slot       ${slot.status}${slot.active ? ', active' : ', not active'}, retains ${slot.retainedBytes === null ? '?' : bytes(slot.retainedBytes)}${budget}`,
    );
  }
  lines.push(`  copy       ${progressText(progress)}`, ...tablesText(stream.tables));
  return lines;
}

function progressText({ rows, rowsEstimate, percent, rowsPerSecond, secondsLeft }: StreamStatus['progress']): string {
  const rate = rowsPerSecond === null ? '' : `, ${rowsPerSecond} rows/s`;
  const left = secondsLeft === null || secondsLeft === 0 ? '' : `, ${duration(secondsLeft)} left`;
  return `${percent} % (${rows} of about ${rowsEstimate} rows${rate}${left})`;
}

function tablesText(tables: readonly TableStatus[]): string[] {
  const width = Math.max(0, ...tables.map((table) => table.schema.length + table.name.length + 1));
  return tables.flatMap((table) => {
    const name = `${table.schema}.${table.name}`.padEnd(width);
    const tasks = `${table.tasks.done}/${table.tasks.all} tasks`;
    return [`    ${name}  ${table.snapshot.padEnd(7)}  ${tasks}  ${progressText(table)}`, ...troubleText(table)];
  });
}

/** Why a table is not copied now, and what is to be done. */
function troubleText({ held, retries }: TableStatus): string[] {
  const lines = retries.map(({ code, message, failures, nextAt }) => {
    return `      [${code}] ${message} (failed ${failures} times; next at ${nextAt})`;
  });
  if (held === null) return lines;
  if (held.error === null)
    return [...lines, `      ${held.kind} since ${held.since}; POST /api/snapshot/v1/resume releases it`];
  const { code, message, hint } = held.error;
  return [...lines, `      in quarantine since ${held.since}: [${code}] ${message}`, `      → ${hint}`];
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 360) / 10} h`;
}

function bytes(count: number): string {
  if (count < 10_000) return `${count} B`;
  if (count < 10_000_000) return `${Math.round(count / 1000)} kB`;
  return `${Math.round(count / 1_000_000)} MB`;
}

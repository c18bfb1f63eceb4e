/** The status document as text for a terminal: the whole of it, or the copy in one line. */
import type { Progress, TableStatus } from './copy.ts';
import type { StatusDocument, StreamStatus } from './model.ts';

export function statusText(document: StatusDocument): string {
  const { service, streams, clients } = document;
  const lines = [
    `Sluice ${service.version}, up ${duration(service.uptimeSeconds)}, ${service.ready ? 'ready' : 'NOT READY'}: ${service.reason}`,
    ...(service.notice === null
      ? []
      : [`Notice: [${service.notice.code}] ${service.notice.message}`, `        → ${service.notice.hint}`]),
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
    `  positions  source ${positions.sourceHead ?? '?'}, received ${positions.received ?? '?'}, durable ${positions.durable ?? '?'}, acknowledged ${positions.acknowledged ?? '?'}`,
    `  lag        ${lag.bytes === null ? '?' : bytes(lag.bytes)}, ${lag.seconds === null ? '?' : `${lag.seconds} s`}`,
  );
  if (slot !== null) {
    const budget = slot.budgetBytes === null ? '' : `, ${bytes(slot.budgetBytes)} left`;
    lines.push(
      `  slot       ${slot.status}${slot.active ? ', active' : ', not active'}, retains ${slot.retainedBytes === null ? '?' : bytes(slot.retainedBytes)}${budget}`,
    );
  }
  lines.push(`  copy       ${progressText(progress)}`);
  if (progress.time !== null) lines.push(`  time       ${stagesText(progress.time)}`);
  lines.push(...tablesText(stream.tables));
  return lines;
}

/** Of the time of all tasks together. */
function stagesText({ elapsedMs, stages }: NonNullable<Progress['time']>): string {
  const share = (ms: number) => `${Math.round((ms / elapsedMs) * 100)} %`;
  const { read, evaluate, flush, wait } = stages;
  return `reading ${share(read)}, evaluating ${share(evaluate)}, flushing ${share(flush)}, waiting ${share(wait)} of ${duration(Math.round(elapsedMs / 1000))} of tasks`;
}

/** All copies under way in one line; null if there is none. */
export function copyLine({ streams }: StatusDocument): string | null {
  const lines = streams
    .filter(({ lifecycle, tables }) => lifecycle !== 'stopped' && tables.some((table) => table.snapshot === 'pending'))
    .map(({ id, progress, tables }) => {
      const done = tables.filter((table) => table.snapshot === 'done').length;
      return `stream ${id}: ${bar(progress.percent)} ${progressText(progress)}, ${done}/${tables.length} tables`;
    });
  return lines.length === 0 ? null : lines.join('; ');
}

const BAR_CELLS = 20;

function bar(percent: number): string {
  const full = Math.round((percent / 100) * BAR_CELLS);
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_CELLS - full)}]`;
}

function progressText({ rows, rowsEstimate, percent, rowsPerSecond, secondsLeft }: Progress): string {
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

/**
 * Who has something for as long as it lives: one opened storage of one process. All processes share the machine, so a
 * dead one is seen at once and nothing has to expire.
 */
import { readFileSync } from 'node:fs';

export interface Holder {
  readonly owner: string;
  readonly pid: number;
  /** When the process started, as the system counts it: tells a holder from a later process with its number. */
  readonly started: string;
  /** Which of the storages that the process opened. */
  readonly opened: number;
}

/** Storages that are open in this process. A lease of ours that is not among them died with its storage. */
const openInstances = new Set<number>();
let instances = 0;

export function registerInstance(): number {
  openInstances.add(++instances);
  return instances;
}

export function forgetInstance(instance: number): void {
  openInstances.delete(instance);
}

export function thisProcess({ owner, instance }: Opened): Holder {
  return { owner, pid: process.pid, started: processStart(process.pid) ?? '', opened: instance };
}

export interface Opened {
  readonly owner: string;
  /** What `registerInstance` gave. */
  readonly instance: number;
}

export function isAlive(holder: Holder): boolean {
  if (holder.pid === process.pid && holder.started === (processStart(process.pid) ?? '')) {
    return openInstances.has(holder.opened);
  }
  return processExists(holder.pid) && (processStart(holder.pid) ?? holder.started) === holder.started;
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, but belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Start time in clock ticks since boot; null where the system does not tell (anything but Linux). */
function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended: only its parent has not noticed.
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? null);
  } catch {
    return null;
  }
}

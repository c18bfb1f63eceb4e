/** What a process does of the whole; docs/decisions/0013-roles.md. */
import type { Duty } from '@sluice/replication';

export const roles = ['all', 'replicate', 'serve', 'copy'] as const;

/**
 * `replicate`: copies and streams, and answers operators. `serve`: answers clients from what others replicate. `copy`:
 * reads tables beside whoever replicates, while there is something to copy.
 */
export type Role = (typeof roles)[number];

export function replicates(role: Role): boolean {
  return role === 'all' || role === 'replicate';
}

export function serves(role: Role): boolean {
  return role === 'all' || role === 'serve';
}

/** What the process does with streams; null if nothing. */
export function dutyOf(role: Role): Duty | null {
  if (role === 'copy') return 'copy';
  return replicates(role) ? 'replicate' : null;
}

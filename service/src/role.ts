/** What a process does of the whole; docs/decisions/0013-roles.md. */
export const roles = ['all', 'replicate', 'serve'] as const;

/** `replicate`: copies and streams, and answers operators. `serve`: answers clients from what others replicate. */
export type Role = (typeof roles)[number];

export function replicates(role: Role): boolean {
  return role !== 'serve';
}

export function serves(role: Role): boolean {
  return role !== 'replicate';
}

/** Tables that the rules name and that cannot be replicated, in words for people. */
import type { SyncRules } from '@sluice/sync-rules';
import type { DiscoveredTable } from '../change-source.ts';

export interface TableProblem {
  readonly table: string;
  readonly code: string;
  readonly message: string;
}

export function problemOf({ relation, problem }: DiscoveredTable): TableProblem[] {
  if (problem === null) return [];
  return [{ table: `${relation.schema}.${relation.name}`, code: problem.code, message: problem.message }];
}

export function missingTables(rules: SyncRules, found: readonly DiscoveredTable[]): TableProblem[] {
  return rules.tablePatterns
    .filter((pattern) => !pattern.wildcard)
    .filter((p) => !found.some((table) => table.relation.schema === p.schema && table.relation.name === p.name))
    .map((pattern) => ({
      table: `${pattern.schema}.${pattern.name}`,
      code: 'SLU_R1104',
      message: 'the table is not in the source, or the role cannot see it',
    }));
}

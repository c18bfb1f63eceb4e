/** What the configurations of replicators said of the rules. */
import type { Migration } from './migration.ts';

export const configuredRules: Migration = {
  number: 2,
  name: 'configured rules',
  statements: (names) => [`alter table ${names.about} add column configured_rules text not null default '[]'`],
};

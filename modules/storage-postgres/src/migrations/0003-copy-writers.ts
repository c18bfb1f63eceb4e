/** Who copies beside a stream's writer: each has a lease of its own, and counts its own transactions. */
import type { Migration } from './migration.ts';

export const copyWriters: Migration = {
  number: 3,
  name: 'copy writers',
  statements: (names) => [
    // Numbers are never given twice within a stream.
    `alter table ${names.states} add column copy_writers int4 not null default 0`,
    `create table ${names.copyWriters} (
       stream int4 not null references ${names.streams} on delete cascade,
       number int4 not null,
       claimant text not null,
       seq int8 not null default 0,
       lease_until timestamptz not null,
       lease_pid int4 not null,
       lease_session timestamptz not null,
       primary key (stream, number)
     ) with (fillfactor = 20, autovacuum_vacuum_threshold = 1000)`,
  ],
};

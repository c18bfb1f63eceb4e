/**
 * Everything that is not of one stream, and the templates of what is. Names of buckets, keys and users are bytes, not
 * text: they may hold any character, NUL too. Documents are JSON as text, which keeps them as they were given.
 */
import type { Names } from '../names.ts';
import type { Migration } from './migration.ts';

export const base: Migration = {
  number: 1,
  name: 'base',
  statements: (names) => [...shared(names), ...templates(names)],
};

function shared(names: Names): string[] {
  return [
    // Which incarnation of the data this is: `sluice new-epoch` makes a new one after a backup was restored.
    `create table ${names.about} (
       single boolean primary key default true check (single),
       epoch uuid not null default gen_random_uuid(),
       last_stream int4 not null default 0
     )`,
    `insert into ${names.about} default values`,
    `create table ${names.streams} (
       id int4 primary key,
       lifecycle text not null,
       rules text not null,
       created_at_ms int8 not null,
       error text,
       source text,
       snapshot_control text
     )`,
    // The row that every write locks: the checkpoint state, the lease, and the number of the last transaction.
    `create table ${names.states} (
       id int4 primary key references ${names.streams} on delete cascade,
       state text not null,
       counters text not null,
       seq int8 not null default 0,
       lease_token int8 not null default 0,
       lease_owner text,
       lease_until timestamptz,
       lease_pid int4,
       lease_session timestamptz
     ) with (fillfactor = 20, autovacuum_vacuum_threshold = 1000)`,
    `create table ${names.tables} (
       stream int4 not null references ${names.streams} on delete cascade,
       id int4 not null,
       document text not null,
       primary key (stream, id)
     )`,
    `create table ${names.tasks} (
       stream int4 not null references ${names.streams} on delete cascade,
       table_id int4 not null,
       index int4 not null,
       document text not null,
       primary key (stream, table_id, index)
     ) with (fillfactor = 70)`,
    `create table ${names.writeCheckpoints} (
       user_key bytea primary key,
       id numeric not null,
       head text collate "C" not null
     ) with (fillfactor = 70)`,
  ];
}

/** Pages are filled by one run each, and by whole records: nothing is compressed or moved out that fits. */
const WHOLE = 'toast_tuple_target = 8160';

function templates(names: Names): string[] {
  const [buckets, ops, records] = [names.template('buckets'), names.template('ops'), names.template('records')];
  return [
    // Running sums, and those of before the first op that came behind the newest checkpoint of its time.
    `create table ${buckets} (
       name bytea primary key,
       number int8 not null,
       count int8 not null,
       last_op int8 not null,
       settled_count int8 not null,
       settled_op int8 not null,
       unsettled_op int8 not null,
       checksum int4 not null,
       settled_checksum int4 not null
     ) with (fillfactor = 70)`,
    `create table ${ops} (
       bucket int8 not null,
       last_op int8 not null,
       first_op int8 not null,
       count int4 not null,
       checksum int4 not null,
       data bytea not null,
       primary key (bucket, last_op) include (first_op, count, checksum)
     ) with (${WHOLE})`,
    `alter table ${ops} alter data set storage external`,
    `create table ${records} (
       table_id int4 not null,
       flags int2 not null,
       key bytea not null,
       record bytea not null,
       primary key (table_id, key)
     ) with (fillfactor = 90, ${WHOLE})`,
    `alter table ${records} alter record set storage external`,
    `create index on ${records} (table_id, key) where flags = 1`,
    `create index on ${records} (table_id, key) where flags = 2`,
    `create table ${names.template('lookups')} (
       key bytea not null,
       table_id int4 not null,
       row bytea not null,
       op int8 not null,
       value bytea not null
     )`,
    `create unique index on ${names.template('lookups')} (key, table_id, row, op desc)`,
    `create table ${names.template('changes')} (
       last_op int8 primary key,
       buckets bytea not null,
       lookups bytea not null
     )`,
  ];
}

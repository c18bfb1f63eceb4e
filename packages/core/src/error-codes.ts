/**
 * Every error code, its meaning and its remedy. `docs/errors.md` has one heading for each; `test/tidy.test.ts` keeps
 * the two equal. Codes that start with `PSYNC_` mean what PowerSync clients and operators already know them to mean;
 * `SLU_` codes are ours.
 */
interface ErrorEntry {
  readonly summary: string;
  readonly hint: string;
  readonly action: 'retry' | 'stop' | 'reject';
  /** HTTP status. */
  readonly status: number;
}

function entry(
  summary: string,
  hint: string,
  action: ErrorEntry['action'] = 'stop',
  status: number = action === 'reject' ? 400 : 500,
): ErrorEntry {
  return { summary, hint, action, status };
}

export const errorCodes = {
  // --- our own mistakes -------------------------------------------------------------------------------------------
  SLU_X0001: entry('An internal check failed.', 'This is a bug in Sluice: please report it with the log around it.'),
  SLU_X0002: entry('An unexpected error.', 'See the log; if it repeats, please report it.', 'retry'),

  // --- configuration ----------------------------------------------------------------------------------------------
  SLU_C0001: entry('The configuration file cannot be read.', 'Check the path given with --config and its permissions.'),
  SLU_C0002: entry('The configuration file is not valid YAML.', 'Mend the line that is named.'),
  SLU_C0003: entry(
    'The configuration does not fit its schema.',
    'Mend the key that is named; docs/operating.md lists all keys.',
  ),
  SLU_C0004: entry(
    'An environment variable named by !env is not set.',
    'Set the variable, or write the value into the file.',
  ),
  SLU_C0005: entry(
    'The sync rules file cannot be read.',
    'Check sync_rules.path; it is relative to the configuration file.',
  ),
  SLU_C0006: entry('The port cannot be listened on.', 'Choose another port, or stop what listens there.'),
  SLU_C0007: entry(
    'The embedded Postgres cannot be started.',
    'See the message; or give the address of your own Postgres in the configuration.',
  ),
  SLU_C0008: entry(
    'A key of client_auth.jwks cannot be used.',
    'Mend the key that is named: its kty, alg, size or encoding.',
  ),
  SLU_C0009: entry('The service cannot be asked.', 'Check that it runs, its address (--url) and the token (--token).'),
  SLU_C0010: entry(
    'The sync rules of this configuration are older than those that are deployed, and were not deployed.',
    'Give this replicator the newest rules. To go back to these, change their file (a comment is enough) and start again.',
  ),

  // --- sync rules ---------------------------------------------------------------------------------------------------
  PSYNC_R0001: entry(
    'The sync rules have errors.',
    'Mend the places listed; `npx sluice validate FILE` shows them.',
    'reject',
    422,
  ),
  PSYNC_S4104: entry('No sync rules are active.', 'Deploy sync rules first.', 'reject', 422),
  PSYNC_S4105: entry(
    'The sync rules are fixed by the configuration file.',
    'Change the file that sync_rules names, and restart.',
    'reject',
    422,
  ),
  PSYNC_S4106: entry('A deploy is already in progress.', 'Wait until it is active.', 'reject', 409),

  // --- source: Postgres ---------------------------------------------------------------------------------------------
  PSYNC_S1104: entry(
    'The TLS settings of the source connection cannot be used.',
    'Give cacert (and client_certificate with client_private_key) as PEM text or as a path, or change sslmode.',
  ),
  PSYNC_S1105: entry('The source connection has no database.', 'Set database, or put it into the URI.'),
  PSYNC_S1106: entry('The source connection has no hostname.', 'Set hostname, or put it into the URI.'),
  PSYNC_S1107: entry('The source connection has no username.', 'Set username, or put it into the URI.'),
  PSYNC_S1108: entry('The source connection has no password.', 'Set password, or put it into the URI.'),
  PSYNC_S1109: entry(
    'The connection URI of the source is not valid.',
    'Use postgresql://user:password@host:port/database.',
  ),
  PSYNC_S1110: entry('The port of the source connection is not valid.', 'Use a port between 1024 and 65535.'),
  PSYNC_S1120: entry('A query on the source failed.', 'See the message of the source.', 'retry'),
  PSYNC_S1121: entry(
    'The source cannot be reached.',
    'Check host, port, network and TLS; Sluice keeps trying.',
    'retry',
  ),
  SLU_S1122: entry('The source refused the login.', 'Check user, password and pg_hba.conf.', 'retry'),
  SLU_S1123: entry(
    'The source does not write logical WAL.',
    'Set wal_level = logical on the source and restart it.',
    'retry',
  ),
  SLU_S1124: entry(
    'The role may not replicate.',
    'ALTER ROLE … REPLICATION (or grant rds_replication on RDS).',
    'retry',
  ),
  SLU_S1125: entry('A table may not be read.', 'GRANT SELECT on the table to the role of the connection.', 'retry'),
  PSYNC_S1141: entry(
    'The publication does not exist.',
    'CREATE PUBLICATION powersync FOR ALL TABLES; on the source.',
    'retry',
  ),
  PSYNC_S1142: entry(
    'The publication does not publish all operations.',
    "ALTER PUBLICATION powersync SET (publish = 'insert, update, delete, truncate');",
    'retry',
  ),
  PSYNC_S1143: entry(
    'The publication publishes via the partition root.',
    'ALTER PUBLICATION powersync SET (publish_via_partition_root = false);',
    'retry',
  ),
  PSYNC_S1145: entry('Row-level security hides rows of a table from the role.', 'ALTER ROLE … BYPASSRLS.', 'retry'),
  PSYNC_S1146: entry(
    'The replication slot was lost or invalidated.',
    'Nothing to do: a new slot is made, all rows are read again, and clients receive what changed. Raise max_slot_wal_keep_size if it repeats.',
    'retry',
  ),
  SLU_S1147: entry(
    'The replication slot is in use by another process.',
    'Stop the other Sluice process, or wait until its connection ends.',
    'retry',
  ),
  SLU_S1148: entry(
    'A table has no usable replica identity.',
    'Add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL.',
    'retry',
  ),
  SLU_S1149: entry(
    'No replication slot could be created.',
    'Raise max_replication_slots, or drop unused slots; long open transactions also delay it.',
    'retry',
  ),
  SLU_S1150: entry(
    'The address leads to another source than before.',
    'Point the connection at the original cluster, or deploy the sync rules again to copy the new one.',
  ),
  SLU_S1151: entry(
    'The replication stream broke off.',
    'Sluice reconnects; see the message of the source if it repeats.',
    'retry',
  ),

  SLU_S1152: entry(
    'What is named is not a table that can be replicated.',
    'Name the partitions of a partitioned table (for example with a wildcard); views and foreign tables cannot be used.',
    'retry',
  ),
  SLU_S1153: entry('A table is not in the publication.', 'ALTER PUBLICATION powersync ADD TABLE …;', 'retry'),
  SLU_S1154: entry('The source is too old.', 'Use Postgres 14 or newer.', 'retry'),
  SLU_S1155: entry(
    'The source sent what this version cannot read.',
    'Sluice reconnects; if it repeats, please report it with the log around it.',
    'retry',
  ),
  SLU_S1158: entry(
    'The server that took over ends before what was read of the old one.',
    'Nothing to do: once it has come that far, all rows are compared. Or deploy the sync rules again to copy everything.',
    'retry',
  ),
  SLU_S1157: entry(
    'Something else has taken the name of the replication slot.',
    'Drop that slot if nobody needs it, or give another slot_name.',
    'retry',
  ),

  SLU_S1156: entry(
    'A row of the source cannot be read.',
    'The table is in quarantine, the others go on. Repair the row (the message of the source names what is damaged) and resume the table.',
    'retry',
  ),

  // --- replication ----------------------------------------------------------------------------------------------------
  PSYNC_S1002: entry(
    'A row is too large to be replicated.',
    'Make the row smaller than 15 MiB; until then it is not synced.',
    'retry',
  ),
  PSYNC_S1003: entry('Another process replicates this stream.', 'Nothing to do: this process stands by.', 'retry'),
  SLU_R1101: entry('The lease on the stream was lost.', 'Another process took over; this one stands by.', 'retry'),
  SLU_R1102: entry('A change arrived without its key.', 'Check the replica identity of the table.', 'retry'),
  SLU_R1103: entry(
    'A table must be copied again: its identity or structure changed.',
    'Nothing to do: the copy starts by itself.',
    'retry',
  ),
  SLU_R1104: entry(
    'A table named by the sync rules is not there.',
    'Create the table, add it to the publication, or mend the name.',
    'retry',
  ),

  SLU_R1105: entry(
    'A row could not be taken in by the copy.',
    'The table is in quarantine, the others go on. See the message; resume the table when the row is mended.',
    'retry',
  ),
  SLU_R1107: entry(
    'An operator wants all rows compared with the source.',
    'Nothing to do: replication begins anew, and clients receive what differs.',
    'retry',
  ),
  SLU_R1108: entry(
    'A process that copies was taken for dead.',
    'Nothing to do: others have its tasks by now, and it begins anew.',
    'retry',
  ),
  SLU_R1109: entry(
    'A process that copies cannot reach what the stream is read from.',
    'Check that its configuration leads to the same database and that the stream is replicated.',
    'retry',
  ),

  // --- storage ----------------------------------------------------------------------------------------------------------
  SLU_T1201: entry('The storage cannot be opened.', 'Check the path, its permissions and the free space.'),
  SLU_T1202: entry(
    'The storage was written by another version of Sluice.',
    'Use the version that wrote it, or start with an empty storage.',
  ),
  SLU_T1203: entry('The storage is full.', 'Free space, or raise the map size.', 'retry'),
  SLU_T1204: entry('Tables are not copied yet.', 'Wait until their snapshots are done.', 'retry'),
  SLU_T1205: entry('A chunk was read under an older state of its table.', 'Nothing to do: it is read again.', 'retry'),

  SLU_T1206: entry(
    'The storage database cannot be reached.',
    'Check host, port, network and TLS of the storage connection; Sluice keeps trying.',
    'retry',
  ),
  SLU_T1207: entry('A statement on the storage database failed.', 'See the message of the database.', 'retry'),
  SLU_T1208: entry(
    'The storage database refused the login.',
    'Check user, password and pg_hba.conf of the storage database.',
    'retry',
  ),
  SLU_T1209: entry(
    'The storage schema is older than this program, and migrations are manual.',
    'Run `npx sluice migrate --config FILE`, or set storage.migrations to automatic.',
  ),
  SLU_T1210: entry(
    'The settings of the storage connection cannot be used.',
    'Give uri, or hostname, username, password and database; certificates as PEM text or as a path.',
  ),
  SLU_T1211: entry('The stream was dropped.', 'Nothing to do: its successor is used.', 'retry'),
  SLU_T1212: entry(
    'Another process deployed sync rules at the same time.',
    'Look at what is deployed now; deploy again if it is still wanted.',
    'reject',
    409,
  ),

  // --- clients --------------------------------------------------------------------------------------------------------
  PSYNC_S2001: entry('The request is not valid.', 'See the details: they name the field.', 'reject', 400),
  PSYNC_S2002: entry('There is no such route.', 'Check method and path.', 'reject', 404),
  PSYNC_S2003: entry('The service is shutting down.', 'Try again; another process answers.', 'reject', 503),
  PSYNC_S2101: entry(
    'The token is not valid.',
    'See the message: it names the claim or the key that does not fit.',
    'reject',
    401,
  ),
  PSYNC_S2103: entry('The token has expired.', 'Fetch a new token.', 'reject', 401),
  PSYNC_S2104: entry('The token lives too long.', 'Issue tokens with a lifetime of at most 24 hours.', 'reject', 401),
  PSYNC_S2105: entry('The token is for another audience.', 'Put one of client_auth.audience into aud.', 'reject', 401),
  PSYNC_S2106: entry(
    'The request carries no usable Authorization header.',
    'Send "Authorization: Token <jwt>".',
    'reject',
    401,
  ),
  PSYNC_S2204: entry('The key set could not be fetched.', 'Check client_auth.jwks_uri and the network.', 'reject', 401),
  PSYNC_S2302: entry(
    'No sync rules are active yet.',
    'Wait until the first copy is complete; GET /api/status shows its progress.',
    'reject',
    500,
  ),
  PSYNC_S2304: entry('Too many connections.', 'Try again later, or add a process.', 'reject', 429),
  PSYNC_S2305: entry(
    'Too many buckets or parameter results for one connection.',
    'Give the user fewer buckets; the details name the definitions.',
    'reject',
    500,
  ),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCodes;

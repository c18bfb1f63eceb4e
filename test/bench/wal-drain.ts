/**
 * How fast a replication slot can be drained, by our source and by the bare library
 * below it. Both drain the same slot contents without confirming anything, so they can follow one another.
 */
import { silentLogger, systemClock, systemRandom } from '@sluice/core';
import { createPostgresSource } from '@sluice/source-postgres';
import pg from 'pg';
import { LogicalReplicationService } from 'pg-logical-replication';

export interface DrainOptions {
  readonly uri: string;
  readonly slot: string;
  readonly publication: string;
  /** LSN as Postgres prints it; the drain ends with the transaction that ends at or behind it. */
  readonly upTo: string;
}

export interface DrainResult {
  readonly changes: number;
  readonly transactions: number;
  readonly seconds: number;
}

/** pg-logical-replication with a plugin that looks at the kind of each message and no further. */
export async function bareDrain(options: DrainOptions): Promise<DrainResult> {
  const service = new LogicalReplicationService(
    { connectionString: options.uri },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  const end = lsnNumber(options.upTo);
  let changes = 0;
  let transactions = 0;
  const startedAt = performance.now();
  await new Promise<void>((done, fail) => {
    const plugin = {
      name: 'pgoutput',
      options: {},
      start: (client: pg.Client, slot: string, lsn: string) =>
        client.query(
          `START_REPLICATION SLOT "${slot}" LOGICAL ${lsn} (proto_version '1', publication_names '${options.publication}')`,
        ),
      parse: (message: Buffer) => {
        const kind = message[0];
        if (kind === 0x49 || kind === 0x55 || kind === 0x44) changes++;
        else if (kind === 0x43) {
          transactions++;
          if (message.readBigUInt64BE(10) >= end) done();
        }
      },
    };
    service.on('error', fail);
    service.subscribe(plugin, options.slot, '0/0').catch(fail);
  });
  const seconds = (performance.now() - startedAt) / 1000;
  await service.destroy();
  return { changes, transactions, seconds };
}

/** Our source, decoded to events and counted. */
export async function sourceDrain(options: DrainOptions): Promise<DrainResult> {
  const source = createPostgresSource(
    { uri: options.uri, sslmode: 'disable', slotName: options.slot, publicationName: options.publication },
    { clock: systemClock, random: systemRandom, logger: silentLogger },
  );
  await source.open(await savedOf(options));
  const end = lsnNumber(options.upTo).toString(16).padStart(16, '0').toUpperCase();
  const stop = new AbortController();
  let changes = 0;
  let transactions = 0;
  const startedAt = performance.now();
  let seconds = 0;
  for await (const batch of source.stream(stop.signal)) {
    for (const event of batch) {
      if (event.kind === 'insert' || event.kind === 'update' || event.kind === 'delete') changes++;
      else if (event.kind === 'commit') {
        transactions++;
        if (event.position >= end) seconds = (performance.now() - startedAt) / 1000;
      }
    }
    if (seconds > 0) break;
  }
  await source.close();
  return { changes, transactions, seconds };
}

function lsnNumber(lsn: string): bigint {
  const [high = '0', low = '0'] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

async function savedOf({ uri, slot }: DrainOptions): Promise<Record<string, string>> {
  const client = new pg.Client(uri);
  await client.connect();
  try {
    const { rows } = await client.query<{ systemId: string; database: string }>(
      'select system_identifier::text as "systemId", current_database() as database from pg_control_system()',
    );
    return {
      slot,
      timeline: '1',
      startPosition: '',
      systemId: rows[0]?.systemId ?? '',
      database: rows[0]?.database ?? '',
    };
  } finally {
    await client.end();
  }
}

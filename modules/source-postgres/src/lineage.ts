/**
 * Which history was read, and which one answers now: the cluster, its timeline, the database, the publication. What
 * `open` hands out to be stored is the lineage with the slot that follows it.
 */
import { type Logger, type Position, SluiceError } from '@sluice/core';
import type { JsonValue } from '@sluice/storage';
import { Client } from 'pg';
import type { SourceSettings } from './config.ts';
import type { Database } from './database.ts';
import { sourceError } from './errors.ts';
import { positionOfLsn } from './position.ts';

export interface Lineage {
  readonly systemId: string;
  readonly timeline: string;
  readonly database: string;
  /** Outlives a rename; null if it was stored by a version that did not look. */
  readonly databaseId: string | null;
  /** A publication that is dropped and made again has another. */
  readonly publicationId: string | null;
}

export interface SavedSlot extends Lineage {
  readonly slot: string;
  /** T0. */
  readonly startPosition: Position;
}

/** The server as it answers now. */
export interface Server extends Lineage {
  readonly head: Position;
  /** Where earlier timelines of its history ended; read only if the server's is not the saved one. */
  readonly ends: ReadonlyMap<string, Position>;
}

// The timeline of pg_control_checkpoint() is the old one for a while after a promotion.
const SERVER_SQL = `
  select (select system_identifier from pg_control_system()), pg_walfile_name(pg_current_wal_insert_lsn()),
    (select oid from pg_database where datname = current_database()), current_database(),
    (select oid from pg_publication where pubname = $1), pg_current_wal_insert_lsn()`;

const TIMELINE_DIGITS = 8;

export async function readServer(database: Database, settings: SourceSettings): Promise<Omit<Server, 'ends'>> {
  const [systemId, walFile, databaseId, name, publicationId, head] = await database.row(SERVER_SQL, [
    settings.publication,
  ]);
  return {
    systemId: systemId ?? '',
    timeline: String(Number.parseInt(walFile?.slice(0, TIMELINE_DIGITS) ?? '', 16)),
    database: name ?? '',
    databaseId: databaseId ?? null,
    publicationId: publicationId ?? null,
    head: positionOfLsn(head ?? ''),
  };
}

/** Where the timelines before this one ended. Only the replication protocol tells without special rights. */
export async function readTimelineEnds(
  settings: SourceSettings,
  timeline: string,
  { where, logger }: { readonly where: string; readonly logger: Logger },
): Promise<ReadonlyMap<string, Position>> {
  if (timeline === '1') return new Map();
  const client = new Client({ ...settings.client, replication: 'database' } as ConstructorParameters<typeof Client>[0]);
  client.on('error', (error) => logger.debug({ error: error.message }, 'a connection for timelines was lost'));
  try {
    await client.connect();
    const result = await client.query<{ content: Buffer | string }>(`TIMELINE_HISTORY ${Number(timeline)}`);
    return parseTimelineHistory(String(result.rows[0]?.content ?? ''));
  } catch (error) {
    throw sourceError(error, where);
  } finally {
    await client.end();
  }
}

/** Lines of `timeline <tab> where it ended <tab> why`; comments begin with `#`. */
export function parseTimelineHistory(text: string): ReadonlyMap<string, Position> {
  const ends = new Map<string, Position>();
  for (const [, timeline, lsn] of text.matchAll(/^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/gim)) {
    if (timeline !== undefined && lsn !== undefined) ends.set(timeline, positionOfLsn(lsn));
  }
  return ends;
}

/** @throws SLU_S1150 if the value was not made by this source */
export function parseSaved(saved: JsonValue): SavedSlot {
  const fields = typeof saved === 'object' && saved !== null ? (saved as Readonly<Record<string, unknown>>) : {};
  const optional = (name: keyof SavedSlot): string | null => {
    const value = fields[name];
    return typeof value === 'string' ? value : null;
  };
  const text = (name: keyof SavedSlot): string => {
    const value = optional(name);
    if (value !== null) return value;
    throw new SluiceError(
      'SLU_S1150',
      `what was saved of the source has no ${name}: it came from another kind of source`,
    );
  };
  return {
    slot: text('slot'),
    systemId: text('systemId'),
    timeline: text('timeline'),
    database: text('database'),
    databaseId: optional('databaseId'),
    publicationId: optional('publicationId'),
    startPosition: text('startPosition'),
  };
}

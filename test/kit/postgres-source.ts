/** A source on a test database, and a reader of its stream. */
import {
  type Clock,
  type Position,
  type Relation,
  silentLogger,
  type StreamEvent,
  systemClock,
  systemRandom,
} from '@sluice/core';
import type { ChangeSource } from '@sluice/replication';
import { createPostgresSource, type PostgresSourceConfig } from '@sluice/source-postgres';
import { PATIENCE_MS } from './patience.ts';
import type { TestDatabase } from './postgres.ts';

let slots = 0;

/** A source with a slot of its own name; the publication `powersync` must be there. */
export function sourceOn(
  database: TestDatabase,
  config: PostgresSourceConfig = {},
  clock: Clock = systemClock,
): ChangeSource {
  const slotName = `slot_${process.pid}_${++slots}`;
  const tools = { clock, random: systemRandom, logger: silentLogger };
  return createPostgresSource({ uri: database.uri, sslmode: 'disable', slotName, ...config }, tools);
}

/** Everything that is streamed until the source has reached its head of now. */
export async function streamToHead(source: ChangeSource): Promise<readonly StreamEvent[]> {
  const head = await source.head();
  await source.marker();
  return streamTo(source, head);
}

export async function streamTo(source: ChangeSource, position: Position): Promise<readonly StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const batch of source.stream(AbortSignal.timeout(PATIENCE_MS))) {
    events.push(...batch);
    const last = batch.at(-1);
    if ((last?.kind === 'commit' || last?.kind === 'heartbeat') && last.position >= position) return events;
  }
  throw new Error(`the stream did not reach ${position} in time`);
}

/** The changes among events, without transactions and heartbeats. */
export function changesOf(events: readonly StreamEvent[]): readonly StreamEvent[] {
  return events.filter(({ kind }) => kind !== 'begin' && kind !== 'commit' && kind !== 'heartbeat');
}

/** A table that was found, as the stream describes it: it does not tell the numbers of columns. */
export function asStreamed(found: Relation): Relation {
  const columns = found.columns.map((column) => {
    const streamed: { -readonly [Key in keyof typeof column]: (typeof column)[Key] } = { ...column };
    delete streamed.number;
    return streamed;
  });
  return { ...found, columns };
}

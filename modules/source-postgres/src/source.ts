/** The Postgres member of the source family: ties the parts of this module together behind the port. */
import {
  BEFORE_ALL,
  type Clock,
  invariant,
  type Logger,
  maxPosition,
  type Position,
  type Random,
  type RawRow,
  type Relation,
  type StreamEvent,
} from '@sluice/core';
import type {
  ChangeSource,
  DiscoveredTable,
  OpenedSource,
  PlannedTask,
  Reached,
  ReadPlan,
  ReadTask,
  RestartDecision,
  SourceHealth,
  StoredReach,
  TableSelector,
  TaskChunk,
  UnfinishedTask,
} from '@sluice/replication';
import type { JsonValue } from '@sluice/storage';
import { ColumnTypes } from './column-types.ts';
import { type PostgresSourceConfig, resolveSettings, type SourceSettings } from './config.ts';
import { Database } from './database.ts';
import { discoverTables } from './discover.ts';
import { planTable } from './plan.ts';
import { positionOfLsn, walBytesBetween } from './position.ts';
import { preflight } from './preflight.ts';
import { readRows } from './read-rows.ts';
import { settle } from './settle.ts';
import { decideOrThrow, readFacts, streamFailure } from './inspect.ts';
import { parseSaved, type SavedSlot } from './lineage.ts';
import type { ReadContext } from './copy-rows.ts';
import { createSlot, dropSlot, findSlot, type SlotContext } from './slot.ts';
import { readTask, splitTask } from './snapshot.ts';
import { streamChanges } from './stream.ts';

export interface SourceTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Connects lazily: nothing is asked of the server before the first call.
 * @throws PSYNC_S1104 – PSYNC_S1110 if the configuration cannot be used
 */
export function createPostgresSource(config: PostgresSourceConfig, tools: SourceTools): ChangeSource {
  return new PostgresSource(resolveSettings(config), tools);
}

class PostgresSource implements ChangeSource {
  readonly #settings: SourceSettings;
  readonly #tools: SourceTools;
  readonly #database: Database;
  readonly #columnTypes: ColumnTypes;
  #slot: SavedSlot | null = null;
  #acknowledged: Position = BEFORE_ALL;
  /** As it was at the start. */
  #stored: Reached = { durable: null, newest: null };

  constructor(settings: SourceSettings, tools: SourceTools) {
    this.#settings = settings;
    this.#tools = tools;
    this.#database = new Database(settings, tools.logger);
    this.#columnTypes = new ColumnTypes(this.#database);
  }

  preflight(): Promise<void> {
    return preflight({ database: this.#database, settings: this.#settings, logger: this.#tools.logger });
  }

  async inspect(stored: StoredReach): Promise<RestartDecision> {
    const saved = stored.saved === null ? null : parseSaved(stored.saved);
    const facts = await readFacts(this.#slotContext(), saved, async () => {
      this.#stored = await stored.reached();
      return { ...this.#stored, asked: stored.asked };
    });
    return decideOrThrow(facts, this.#database.where);
  }

  async open(saved: JsonValue | null): Promise<OpenedSource> {
    const created = saved === null;
    const slot = created
      ? await createSlot(this.#slotContext())
      : await findSlot(this.#slotContext(), parseSaved(saved));
    this.#slot = slot;
    return { saved: { ...slot }, startPosition: slot.startPosition, created };
  }

  async *stream(signal: AbortSignal): AsyncIterable<readonly StreamEvent[]> {
    invariant(this.#slot !== null, 'the source is opened before it is streamed');
    yield* streamChanges(
      {
        ...this.#tools,
        database: this.#database,
        settings: this.#settings,
        slot: this.#slot.slot,
        columnTypes: this.#columnTypes,
        durable: () => this.#acknowledged,
      },
      signal,
    );
  }

  acknowledge(position: Position): void {
    this.#acknowledged = maxPosition(this.#acknowledged, position) ?? position;
  }

  settle(signal: AbortSignal): Promise<void> {
    return settle({ ...this.#tools, database: this.#database }, signal);
  }

  discover(patterns: readonly TableSelector[]): Promise<readonly DiscoveredTable[]> {
    const context = { database: this.#database, settings: this.#settings, columnTypes: this.#columnTypes };
    return discoverTables(context, patterns);
  }

  planTable(relation: Relation): Promise<ReadPlan> {
    return planTable(this.#database, relation, this.#settings.planStrategy);
  }

  splitTask(task: UnfinishedTask): Promise<readonly [kept: PlannedTask, given: PlannedTask] | null> {
    return splitTask(this.#readContext(), task);
  }

  readTask(request: ReadTask): AsyncIterable<TaskChunk> {
    return readTask(this.#readContext(), request);
  }

  readRows(relation: Relation, keyColumns: readonly number[], rows: readonly RawRow[]): Promise<readonly RawRow[]> {
    const { publication } = this.#settings;
    return readRows({ database: this.#database, publication }, relation, { keyColumns, rows });
  }

  async head(): Promise<Position> {
    const [lsn] = await this.#database.row('select pg_current_wal_insert_lsn()');
    return positionOfLsn(lsn ?? '');
  }

  /**
   * The message is transactional although that costs a transaction id: only a commit makes an idle server flush its WAL,
   * and the stream reads flushed WAL alone. It does not wait for standbys.
   */
  async marker(): Promise<void> {
    await this.#database.rows(
      "select set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'sluice', '')",
    );
  }

  async health(): Promise<SourceHealth> {
    const facts = await readFacts(this.#slotContext(), this.#slot, async () => ({
      durable: maxPosition(this.#stored.durable, this.#acknowledged),
      newest: this.#stored.newest,
      asked: false,
    }));
    const { slot, server } = facts;
    return {
      head: server.head,
      acknowledged: slot?.confirmed ?? null,
      retainedBytes: slot?.retainedBytes ?? null,
      budgetBytes: slot?.safeWalSize ?? null,
      status: slot?.walStatus ?? 'missing',
      active: slot !== null && slot.activePid !== null,
      limitBytes: slot?.limitBytes ?? null,
      failure: streamFailure(facts, this.#database.where),
    };
  }

  bytesBetween(from: Position, to: Position): number | null {
    return walBytesBetween(from, to);
  }

  async teardown(saved: JsonValue | null): Promise<void> {
    const slot = saved === null ? this.#settings.slot : parseSaved(saved).slot;
    await dropSlot(this.#slotContext(), slot);
    this.#slot = null;
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  #readContext(): ReadContext {
    const { publication, readDeadlineMs } = this.#settings;
    return { database: this.#database, publication, clock: this.#tools.clock, readDeadlineMs };
  }

  #slotContext(): SlotContext {
    return { ...this.#tools, database: this.#database, settings: this.#settings };
  }
}

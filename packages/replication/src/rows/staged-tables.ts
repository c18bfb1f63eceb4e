/**
 * Publishes tables that came while clients were being served (rule R5). They are copied and streamed aside, without
 * holding anybody's checkpoints; when the stream has passed the end of the copy, their records become ops, a bounded part
 * at a time. Only a table of more than one part withholds checkpoints, and only from its first part to its last.
 */
import { type Clock, Latest, type Logger, type TableId } from '@sluice/core';
import type { JsonValue, StreamReader, StreamWriter, TableState } from '@sluice/storage';
import type { ChangeSource } from '../change-source.ts';
import { publish } from './evaluate.ts';
import { completePartialRows } from './partial-rows.ts';
import type { StreamProgress } from '../stream/stream-progress.ts';
import type { TableCatalog } from '../tables/table-catalog.ts';

/** Rows in one storage transaction: the stream's flushes wait behind it. */
const PART_ROWS = 5000;
const POLL_MS = 200;

interface StagedTablesPorts {
  readonly source: ChangeSource;
  readonly reader: StreamReader;
  readonly writer: StreamWriter;
  readonly catalog: TableCatalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stream: StreamProgress;
  /** Called when a table is shown: the snapshot gate may have to be opened. */
  readonly onShown: () => void;
}

export class StagedTables {
  readonly #ports: StagedTablesPorts;
  readonly #added = new Latest(0);
  /** Tables that an idle source has been made to pass. */
  readonly #marked = new Set<TableId>();

  constructor(ports: StagedTablesPorts) {
    this.#ports = ports;
  }

  /** A table may have been staged. */
  wake(): void {
    this.#added.set(this.#added.value + 1);
  }

  /** Runs until aborted; ends early only by throwing. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const version = this.#added.version;
      const hidden = (await this.#ports.reader.tables()).filter((table) => table.visibility !== 'shown');
      for (const table of hidden) if (await this.#isReady(table)) await this.#publish(table, signal);
      if (hidden.length === 0) await this.#added.changed(version, signal);
      else await this.#ports.clock.sleep(POLL_MS, signal);
    }
  }

  /** Before the stream has passed the copy's end, publishing would hold checkpoints until it has. */
  async #isReady({ id, visibility, endPosition }: TableState): Promise<boolean> {
    if (endPosition === null) return false;
    const { durable } = this.#ports.stream;
    if (visibility === 'publishing' || (durable !== null && durable >= endPosition)) return true;
    if (!this.#marked.has(id)) await this.#ports.source.marker();
    this.#marked.add(id);
    return false;
  }

  async #publish(table: TableState, signal: AbortSignal): Promise<void> {
    const { writer, catalog, clock, logger, source, onShown } = this.#ports;
    // Behind the mark of its copy: rows that the stream leaves partial from now on, it completes itself.
    await completePartialRows(this.#ports, table, signal);
    if (catalog.isEnded(table.id)) return;
    const binding = catalog.bindingFor(table);
    const startedAt = clock.monotonic();
    let ops = 0;
    let after: JsonValue | null = null;
    do {
      signal.throwIfAborted();
      const part = await writer.publishRows({
        tableId: table.id,
        after,
        limit: PART_ROWS,
        publish: (state, key, record) => publish(binding, state, key, record),
      });
      ops += part.ops;
      after = part.next;
    } while (after !== null && !catalog.isEnded(table.id));
    const { schema, name } = table.relation;
    logger.info({ table: `${schema}.${name}`, ops, ms: Math.round(clock.monotonic() - startedAt) }, 'table published');
    onShown();
    await source.marker();
  }
}

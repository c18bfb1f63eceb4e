/**
 * Completes records that miss values: rows that changed before they were copied, in an update that left large columns
 * out. Their gaps, and only those, are filled from a read that provably sees the change (rule R7): the change came
 * through the stream, so its transaction has been written; once every transaction in progress has ended, it is visible.
 */
import { type Position, recordKey } from '@sluice/core';
import { decodeRecord, type StreamReader, type StreamWriter, type TableState } from '@sluice/storage';
import type { ChangeSource } from '../change-source.ts';
import { evaluate } from './evaluate.ts';
import type { CompleteWrite } from './row-write.ts';
import type { TableCatalog } from '../tables/table-catalog.ts';

const PARTIAL_BATCH = 500;

interface PartialPorts {
  readonly source: ChangeSource;
  readonly reader: StreamReader;
  readonly writer: StreamWriter;
  readonly catalog: TableCatalog;
}

/** A table that must be copied again completes its rows behind that copy. */
async function isStill(reader: StreamReader, table: TableState): Promise<boolean> {
  const now = (await reader.tables()).find(({ id }) => id === table.id);
  return now?.snapshot === 'done' && now.generation === table.generation;
}

/**
 * Returns when no record of the table misses values, but for rows that are gone from the source: the stream brings
 * their delete, or the move to another key, before the position boundary that this raises.
 * @returns that boundary; null if nothing was read that counts
 */
export async function completePartialRows(
  ports: PartialPorts,
  table: TableState,
  signal: AbortSignal,
): Promise<Position | null> {
  const gone = new Set<string>();
  let boundary: Position | null = null;
  for (;;) {
    const listed = await ports.reader.partialRecords(table.id, PARTIAL_BATCH + gone.size);
    const records = listed.filter((entry) => !gone.has(entry.key));
    if (records.length === 0 || !(await isStill(ports.reader, table))) return boundary;
    await ports.source.settle(signal);
    const values = records.map((entry) => decodeRecord(entry.record).values);
    const rows = await ports.source.readRows(table.relation, table.keyColumns, values);
    const readBefore = await ports.source.head();
    const byKey = new Map(rows.map((row) => [recordKey(row, table.keyColumns), row]));
    // Behind the read: what it saw must be what the stream brings.
    if (!(await ports.catalog.confirm(table))) return boundary;
    const binding = ports.catalog.bindingFor(table);
    const writes: CompleteWrite[] = [];
    for (const entry of records) {
      const row = byKey.get(entry.key);
      if (row === undefined) gone.add(entry.key);
      else {
        writes.push({
          kind: 'complete',
          binding,
          tableId: table.id,
          key: entry.key,
          row,
          expected: entry.record,
          readBefore,
        });
      }
    }
    // What was read may be newer than what was streamed, and so may a row's absence be: no checkpoint before this.
    await ports.writer.flush({ writes, evaluate, boundary: readBefore });
    boundary = readBefore;
  }
}

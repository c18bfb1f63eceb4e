/** Ends the rows that vanished while the stream could not see it: those that the table's copy has not met. */
import type { Logger } from '@sluice/core';
import type { JsonValue, StreamWriter, TableState } from '@sluice/storage';
import { sweep } from '../rows/evaluate.ts';

const SWEEP_LIMIT = 2000;

/** @returns false if the table moved on meanwhile: it is copied again before it can be swept */
export async function sweepTable(writer: StreamWriter, table: TableState, logger: Logger): Promise<boolean> {
  let after: JsonValue | null = null;
  let erased = 0;
  do {
    const { id, generation } = table;
    const result = await writer.sweepRows({ tableId: id, generation, after, limit: SWEEP_LIMIT, sweep });
    if (result.kind === 'discarded') return false;
    after = result.next;
    erased += result.erased;
  } while (after !== null);
  logger.info({ table: `${table.relation.schema}.${table.relation.name}`, erased }, 'rows that vanished are removed');
  return true;
}

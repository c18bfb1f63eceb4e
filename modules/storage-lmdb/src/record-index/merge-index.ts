/**
 * The end of an index's journal, in bounded transactions: what a copy has left there would be looked through by every
 * lookup from then on.
 */
import type { StreamId, TableId } from '@sluice/core';
import type { FencedWrites } from '../fencing/fenced-writes.ts';
import type { Schema } from '../schema.ts';
import { RecordIndex } from './record-index.ts';

/** Of one transaction. */
const PAGES = 1_000;

export async function mergeIndex(
  schema: Schema,
  { stream, table }: { readonly stream: StreamId; readonly table: TableId },
  writes: FencedWrites,
): Promise<void> {
  schema.root.resetReadTxn();
  let { isMerged } = new RecordIndex(schema, stream, table);
  while (!isMerged) isMerged = await writes.run(mergeSome, { lane: 'patient' });
  new RecordIndex(schema, stream, table).forgetFilter();

  function mergeSome(): boolean {
    const index = new RecordIndex(schema, stream, table);
    index.mergePages(PAGES);
    return index.isMerged;
  }
}

/** What a reference client holds, byte for byte, in the shape of the oracle's answer. */
import type { SyncClient } from './client.ts';
import type { Rows } from './oracle.ts';

/**
 * To be called when a `checkpoint_complete` has just arrived: then the live PUTs are the applied state.
 * @throws if a bucket holds one row twice: under these rules every row has one source, so one subkey
 */
export function heldRows(client: SyncClient): Rows {
  const all = new Map<string, Map<string, string>>();
  const newest = new Map<string, bigint>();
  for (const [name, bucket] of client.log.buckets) {
    const seen = new Set<string>();
    for (const put of bucket.live.values()) {
      if (seen.has(put.row)) throw new Error(`${name} holds ${put.row.replace('\0', ' ')} twice`);
      seen.add(put.row);
      if ((newest.get(put.row) ?? -1n) > put.opId) continue;
      newest.set(put.row, put.opId);
      const [type, id] = put.row.split('\0') as [string, string];
      if (typeof put.data !== 'string') throw new Error(`${name}: ${type} ${id} has no data text`);
      let table = all.get(type);
      if (table === undefined) all.set(type, (table = new Map()));
      table.set(id, put.data);
    }
  }
  return all;
}

/** The number of the load's transaction that the rows are as of; null if they hold no ticker. */
export function tickOf(rows: Rows): bigint | null {
  const ticker = rows.get('ticker')?.get('ticker');
  return ticker === undefined ? null : BigInt((JSON.parse(ticker) as { n: number }).n);
}

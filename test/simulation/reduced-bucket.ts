import { decodeOp, type OpId } from '@sluice/core';
import type { StreamReader } from '@sluice/storage';

/** The rows that a bucket's ops up to a checkpoint amount to: JSON by `type/id`. @throws if sums or order are wrong */
export async function reducedBucket(
  reader: StreamReader,
  checkpoint: OpId,
  bucket: string,
): Promise<ReadonlyMap<string, string>> {
  const live = new Map<string, string>();
  const rows = new Map<string, string>();
  let after = 0;
  let checksum = 0;
  let count = 0;
  for (let more = true; more; ) {
    const [chunk] = await reader.readOps(checkpoint, [{ bucket, after }], { ops: 50, bytes: 100_000 });
    if (chunk === undefined) break;
    for (const [index, opId] of chunk.opIds.entries()) {
      if (opId <= after || opId > checkpoint)
        throw new Error(`${bucket}: op ${opId} after ${after} below ${checkpoint}`);
      after = opId;
      const op = decodeOp(chunk.bodies[index] as Uint8Array);
      checksum = (checksum + op.checksum) | 0;
      count++;
      const row = `${op.objectType}/${op.objectId}`;
      const key = `${row}/${op.subkey}`;
      if (op.op === 'PUT') live.set(key, op.data ?? '');
      else live.delete(key);
    }
    more = chunk.hasMore;
  }
  const [sum] = await reader.bucketSums(checkpoint, [bucket]);
  if (sum === undefined || sum.checksum !== checksum || sum.count !== count) {
    throw new Error(`${bucket}: stored sum ${sum?.checksum} of ${sum?.count}, read ${checksum} of ${count}`);
  }
  for (const [key, data] of live) {
    const row = key.slice(0, key.lastIndexOf('/'));
    if (rows.has(row)) throw new Error(`${bucket}: ${row} is live twice`);
    rows.set(row, data);
  }
  return rows;
}

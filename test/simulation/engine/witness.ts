/**
 * A client that sees every checkpoint: it reads on from where it was, as clients do, and judges what it holds. It keeps
 * every op that it ever saw, and at the end reads all buckets again: nothing may have appeared late or changed.
 */
import { type Checkpoint, decodeOp } from '@sluice/core';
import { eachOp, type StreamReader } from '@sluice/storage';
import { bucketOf, lookupOf, OWNERS } from './rules.ts';

/** What is wrong. */
export class Violation extends Error {}

export interface SeenOp {
  readonly id: number;
  readonly checksum: number;
  readonly op: string;
  /** `owner type/id`. */
  readonly row: string;
  readonly subkey: string;
  readonly data: string;
}

class BucketLog {
  readonly ops: SeenOp[] = [];
  checksum = 0;
  /** By row, then by subkey: one object may have several source rows. */
  readonly live = new Map<string, Map<string, string>>();
}

/** Whether some update of the row left values out: then it was kept aside, and told when it was whole again. */
export type WasPartial = (objectType: string, objectId: string) => boolean;

export class Witness {
  readonly #logs = new Map(OWNERS.map((owner) => [owner as string, new BucketLog()]));
  readonly #wasPartial: WasPartial;
  #last: Checkpoint | null = null;
  checkpoints = 0;

  constructor(wasPartial: WasPartial) {
    this.#wasPartial = wasPartial;
  }

  get last(): Checkpoint | null {
    return this.#last;
  }

  /** Takes the newest checkpoint in. @returns it if it is another than the last; null if there is nothing new */
  async look(reader: StreamReader): Promise<Checkpoint | null> {
    const checkpoint = await reader.checkpoint();
    const last = this.#last;
    if (checkpoint === null) {
      if (last !== null) throw new Violation('the checkpoint is gone');
      return null;
    }
    if (last?.opId === checkpoint.opId && last.position === checkpoint.position) return null;
    if (last !== null && (checkpoint.opId < last.opId || checkpoint.position < last.position))
      throw new Violation(`the checkpoint went back from ${told(last)} to ${told(checkpoint)}`);
    this.checkpoints++;
    this.#last = checkpoint;
    for (const [owner, log] of this.#logs) {
      for (const op of await readOps(reader, owner, { after: log.ops.at(-1)?.id ?? 0, upTo: checkpoint.opId })) {
        if (isHeld(log, op)) await this.#expectReason(op, reader);
        apply(log, op, owner);
      }
      const [sum] = await reader.bucketSums(checkpoint.opId, [bucketOf(owner)]);
      if (sum?.checksum !== log.checksum || sum.count !== log.ops.length)
        throw new Violation(`${owner}: stored sum ${JSON.stringify(sum)}, read ${log.checksum} of ${log.ops.length}`);
    }
    return checkpoint;
  }

  /** What clients hold is not put again, unless it went through a partial row that knew nothing of an older history. */
  async #expectReason({ row, subkey }: SeenOp, reader: StreamReader): Promise<void> {
    const table = (await reader.tables()).find(({ id }) => subkey.startsWith(`${id}.`));
    const [objectType = '', objectId = ''] = row.slice(row.indexOf(' ') + 1).split('/');
    if (table?.history === 1 || !this.#wasPartial(objectType, objectId))
      throw new Violation(`a put of ${row}, which is held just so`);
  }

  /** What is held now: JSON by `owner type/id`. */
  held(): ReadonlyMap<string, string> {
    const held = new Map<string, string>();
    for (const { live } of this.#logs.values()) {
      for (const [row, bySubkey] of live) {
        if (bySubkey.size > 1) throw new Violation(`${row} is held ${bySubkey.size} times`);
        for (const data of bySubkey.values()) held.set(row, data);
      }
    }
    return held;
  }

  /** The lookups at the checkpoint must say what the buckets hold. */
  async compareLookups(reader: StreamReader, { opId }: Checkpoint): Promise<void> {
    const answers = await reader.lookups(opId, OWNERS.map(lookupOf));
    for (const [index, owner] of OWNERS.entries()) {
      const got = [...(answers[index] ?? [])].sort().join();
      const live = [...(this.#logs.get(owner)?.live.keys() ?? [])];
      const wanted = live
        .map((row) => JSON.stringify([row.slice(owner.length + 1)]))
        .sort()
        .join();
      if (got !== wanted) throw new Violation(`lookup of ${owner}: ${got}, but the bucket holds ${wanted}`);
    }
  }

  /** Everything again from the start: it must be what was seen. */
  async readAgain(reader: StreamReader): Promise<void> {
    const upTo = this.#last?.opId ?? 0;
    for (const [owner, { ops }] of this.#logs) {
      const again = await readOps(reader, owner, { after: 0, upTo });
      if (JSON.stringify(again) !== JSON.stringify(ops))
        throw new Violation(`${owner}: ops up to ${upTo} are not those that were seen before`);
    }
  }
}

export function told({ opId, position }: Checkpoint): string {
  return `op ${opId} at ${position}`;
}

async function readOps(reader: StreamReader, owner: string, range: { after: number; upTo: number }): Promise<SeenOp[]> {
  const ops: SeenOp[] = [];
  const bucket = bucketOf(owner);
  for (let { after } = range, more = true; more; ) {
    const [chunk] = await reader.readOps(range.upTo, [{ bucket, after }], { ops: 40, bytes: 100_000 });
    if (chunk === undefined) break;
    for (const { opId: id, body } of eachOp(chunk.slices)) {
      if (id <= after || id > range.upTo) throw new Violation(`${owner}: op ${id} after ${after}, up to ${range.upTo}`);
      after = id;
      const { op, checksum, objectType, objectId, subkey, data } = decodeOp(body);
      ops.push({ id, checksum, op, row: `${owner} ${objectType}/${objectId}`, subkey: subkey ?? '', data: data ?? '' });
    }
    more = chunk.hasMore;
  }
  return ops;
}

function isHeld({ live }: BucketLog, { op, row, subkey, data }: SeenOp): boolean {
  return op === 'PUT' && live.get(row)?.get(subkey) === data;
}

function apply(log: BucketLog, op: SeenOp, owner: string): void {
  log.ops.push(op);
  log.checksum = (log.checksum + op.checksum) | 0;
  const bySubkey = log.live.get(op.row) ?? new Map<string, string>();
  if (op.op === 'PUT') log.live.set(op.row, bySubkey.set(op.subkey, op.data));
  else if (!bySubkey.delete(op.subkey)) throw new Violation(`${owner}: a remove of ${op.row}, which is not held`);
  if (bySubkey.size === 0) log.live.delete(op.row);
}

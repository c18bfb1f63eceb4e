/**
 * What a client keeps: per bucket the live PUTs and two sums, and from these the visible rows. Protocol sections 3.3 and
 * 4.1 in code; positions after an applied checkpoint are the checkpoint's, as in the SDKs.
 *
 * Tests hold half a million rows in each of several clients of one process: a row is one object, and is parsed only where
 * somebody asks for rows of its table.
 */
export interface WireOp {
  readonly op_id: string;
  readonly op: 'PUT' | 'REMOVE' | 'MOVE' | 'CLEAR';
  readonly checksum: number;
  readonly object_type?: string;
  readonly object_id?: string;
  readonly subkey?: string | null;
  /** JSON text, or the embedded object where the client asked for that. */
  readonly data?: string | Record<string, unknown> | null;
}

export interface WireBucket {
  readonly bucket: string;
  readonly checksum: number;
  readonly count?: number;
  readonly priority: number;
  readonly subscriptions?: readonly unknown[];
}

interface LivePut {
  readonly bucket: string;
  readonly opId: bigint;
  readonly checksum: number;
  readonly row: string;
  readonly data: string | Record<string, unknown> | null;
}

class ClientBucket {
  position = 0n;
  opChecksum = 0;
  addChecksum = 0;
  /** Ops received since the bucket was started. */
  ops = 0;
  readonly live = new Map<string, LivePut>();
}

type Row = Record<string, unknown>;

/** The visible rows of a table, as they came, and parsed as far as they have been asked for. */
class ShownTable {
  readonly #data = new Map<string, LivePut['data']>();
  #parsed: Map<string, Row> | null = null;

  set(id: string, data: LivePut['data']): void {
    this.#data.set(id, data);
    this.#parsed?.set(id, parsedRow(data));
  }

  delete(id: string): void {
    this.#data.delete(id);
    this.#parsed?.delete(id);
  }

  get rows(): ReadonlyMap<string, Row> {
    this.#parsed ??= new Map([...this.#data].map(([id, data]) => [id, parsedRow(data)]));
    return this.#parsed;
  }
}

function parsedRow(data: LivePut['data']): Row {
  return typeof data === 'string' ? (JSON.parse(data) as Row) : (data ?? {});
}

export class OpLog {
  readonly buckets = new Map<string, ClientBucket>();
  readonly #keepRows: boolean;
  readonly #tables = new Map<string, ShownTable>();
  /** Rows (`type\0id`) whose visible state may have changed. */
  readonly #touched = new Set<string>();
  /** For each row, the buckets' live PUTs of it: nearly always one. */
  readonly #candidates = new Map<string, LivePut | readonly LivePut[]>();

  constructor(keepRows: boolean) {
    this.#keepRows = keepRows;
  }

  rows(table: string): ReadonlyMap<string, Row> {
    return this.#tables.get(table)?.rows ?? new Map<string, Row>();
  }

  positions(): { name: string; after: string }[] {
    return [...this.buckets].map(([name, bucket]) => ({ name, after: String(bucket.position) }));
  }

  /** Drops buckets that the checkpoint does not list. Rows vanish at the next apply. */
  retain(listed: ReadonlyMap<string, unknown>): void {
    for (const name of this.buckets.keys()) if (!listed.has(name)) this.drop(name);
  }

  drop(name: string): void {
    const bucket = this.buckets.get(name);
    if (bucket === undefined) return;
    for (const put of bucket.live.values()) this.#forget(put);
    this.buckets.delete(name);
  }

  /** @throws if the ops are not strictly ascending behind the position, or beyond the checkpoint */
  append(name: string, ops: readonly WireOp[], checkpoint: bigint): void {
    let bucket = this.buckets.get(name);
    if (bucket === undefined) this.buckets.set(name, (bucket = new ClientBucket()));
    for (const op of ops) {
      if (typeof op.op_id !== 'string') throw new Error('op_id must be text');
      const opId = BigInt(op.op_id);
      if (opId <= bucket.position) throw new Error(`${name}: op ${opId} is not behind ${bucket.position}`);
      if (opId > checkpoint) throw new Error(`${name}: op ${opId} is above the checkpoint ${checkpoint}`);
      if (!Number.isInteger(op.checksum)) throw new Error(`${name}: op ${opId} has no checksum`);
      bucket.position = opId;
      bucket.ops++;
      this.#applyOp(name, bucket, op, opId);
    }
  }

  #applyOp(name: string, bucket: ClientBucket, op: WireOp, opId: bigint): void {
    const key = `${op.object_type}/${op.object_id}/${op.subkey ?? 'null'}`;
    switch (op.op) {
      case 'PUT': {
        this.#supersede(bucket, key);
        const data = this.#keepRows ? (op.data ?? null) : null;
        const put = { bucket: name, opId, checksum: op.checksum, row: `${op.object_type}\0${op.object_id}`, data };
        bucket.live.set(key, put);
        bucket.opChecksum = (bucket.opChecksum + op.checksum) | 0;
        this.#remember(put);
        return;
      }
      case 'REMOVE':
        this.#supersede(bucket, key);
        bucket.addChecksum = (bucket.addChecksum + op.checksum) | 0;
        return;
      case 'MOVE':
        bucket.addChecksum = (bucket.addChecksum + op.checksum) | 0;
        return;
      case 'CLEAR':
        for (const put of bucket.live.values()) this.#forget(put);
        bucket.live.clear();
        bucket.opChecksum = 0;
        bucket.addChecksum = op.checksum | 0;
        return;
      default:
        throw new Error(`unknown op ${String(op.op)}`);
    }
  }

  #supersede(bucket: ClientBucket, key: string): void {
    const older = bucket.live.get(key);
    if (older === undefined) return;
    bucket.opChecksum = (bucket.opChecksum - older.checksum) | 0;
    bucket.addChecksum = (bucket.addChecksum + older.checksum) | 0;
    bucket.live.delete(key);
    this.#forget(older);
  }

  #remember(put: LivePut): void {
    if (!this.#keepRows) return;
    const others = this.#puts(put.row);
    this.#candidates.set(put.row, others.length === 0 ? put : [...others, put]);
    this.#touched.add(put.row);
  }

  #forget(put: LivePut): void {
    if (!this.#keepRows) return;
    const [first, ...more] = this.#puts(put.row).filter((candidate) => candidate !== put);
    if (first === undefined) this.#candidates.delete(put.row);
    else this.#candidates.set(put.row, more.length === 0 ? first : [first, ...more]);
    this.#touched.add(put.row);
  }

  #puts(row: string): readonly LivePut[] {
    const puts = this.#candidates.get(row);
    if (puts === undefined) return [];
    return isOne(puts) ? [puts] : puts;
  }

  /** Names of the buckets whose sums do not fit; they are dropped, to be sent again from the start. */
  verify(buckets: readonly WireBucket[]): string[] {
    const failed: string[] = [];
    for (const { bucket: name, checksum } of buckets) {
      const bucket = this.buckets.get(name);
      const sum = bucket === undefined ? 0 : (bucket.opChecksum + bucket.addChecksum) | 0;
      if (sum === (checksum | 0)) continue;
      failed.push(name);
      this.drop(name);
    }
    return failed;
  }

  /** Publishes what was received. Rows of buckets outside the scope wait for their own apply. */
  apply(scope: readonly WireBucket[], checkpoint: bigint): void {
    const names = new Set(scope.map((entry) => entry.bucket));
    for (const name of names) {
      let bucket = this.buckets.get(name);
      if (bucket === undefined) this.buckets.set(name, (bucket = new ClientBucket()));
      if (bucket.position < checkpoint) bucket.position = checkpoint;
    }
    for (const row of this.#touched) if (this.#show(row, names)) this.#touched.delete(row);
  }

  /** @returns whether nothing outside the scope can still change the row */
  #show(row: string, scope: ReadonlySet<string>): boolean {
    let best: LivePut | null = null;
    let settled = true;
    for (const put of this.#puts(row)) {
      if (!scope.has(put.bucket)) settled = false;
      else if (best === null || put.opId > best.opId) best = put;
    }
    const [type, id] = row.split('\0') as [string, string];
    let table = this.#tables.get(type);
    if (table === undefined) this.#tables.set(type, (table = new ShownTable()));
    if (best !== null) table.set(id, best.data);
    else if (settled) table.delete(id);
    return settled;
  }
}

function isOne(puts: LivePut | readonly LivePut[]): puts is LivePut {
  return !Array.isArray(puts);
}

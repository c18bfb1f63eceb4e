/**
 * Random clients against random commits, in one process and by a seed: rows written and removed, users joining and leaving
 * buckets, clients that read slowly, are interrupted, go away and come back with what they hold. Every line is judged by
 * the reference client's op log; every completed checkpoint must equal the rows as of that checkpoint.
 */
import { describe, expect, test } from 'vitest';
import { bsonFormat, LineEncoder } from '../../packages/sync/src/line-encoder.ts';
import type { Line } from '../../packages/sync/src/protocol.ts';
import { StreamWorld, type TestConnection } from '../../packages/sync/src/stream-world.ts';
import { deserialize } from 'bson';
import { OpLog, type WireBucket, type WireOp } from '../kit/op-log.ts';
import { seededRandom } from '../kit/seeded-random.ts';
import { sized, testSeed } from '../kit/size.ts';

const encoder = new LineEncoder();
const STATIC = [
  { bucket: 's0', priority: 0 },
  { bucket: 's3', priority: 3 },
];
const DYNAMIC = ['d1', 'd2', 'd3', 'd4'];
const USERS = ['ann', 'ben', 'cleo'];

type Rows = ReadonlyMap<string, string>;

/** What a user must see at one op id. */
interface Truth {
  readonly opId: bigint;
  readonly rows: Rows;
}

class SimulatedClient {
  readonly user: string;
  readonly log = new OpLog(true);
  #reading = false;
  #read = 0;
  #last = '';
  connection: TestConnection | null = null;
  buckets = new Map<string, WireBucket>();
  lastOpId = 0n;
  completes = 0;
  readonly completed: { opId: bigint; rows: Rows }[] = [];

  constructor(user: string) {
    this.user = user;
  }

  connect(connection: TestConnection): void {
    this.connection = connection;
    this.lastOpId = 0n;
    this.#reading = false;
    this.#read = 0;
    this.#last = '';
  }

  /** Asks for one more line, and takes those that have come. @returns how many rounds were left before their completion */
  async read(): Promise<number> {
    const { connection } = this;
    if (connection === null) return 0;
    if (!this.#reading) {
      this.#reading = true;
      void connection.next().finally(() => {
        if (this.connection === connection) this.#reading = false;
      });
    }
    await quiet();
    let left = 0;
    for (; this.#read < connection.lines.length; this.#read++) {
      const line = connection.lines[this.#read] as Line;
      if ('checkpoint_diff' in line && this.#last !== 'checkpoint_complete') left++;
      this.#last = Object.keys(line)[0] as string;
      this.#receive(encoder.encode(line, bsonFormat).bytes);
    }
    return left;
  }

  /** The line as it would come over the wire. */
  #receive(bytes: Uint8Array): void {
    const line = deserialize(bytes) as Record<string, never>;
    if ('checkpoint' in line || 'checkpoint_diff' in line) this.#tell(line);
    else if ('data' in line) {
      const { bucket, data } = line['data'] as { bucket: string; data: WireOp[] };
      expect(this.buckets.has(bucket)).toBe(true);
      this.log.append(bucket, data, this.lastOpId);
    } else if ('checkpoint_complete' in line) this.#complete(3);
    else if ('partial_checkpoint_complete' in line)
      this.#complete((line['partial_checkpoint_complete'] as { priority: number }).priority);
  }

  #tell(line: Record<string, never>): void {
    const { checkpoint, checkpoint_diff } = line as {
      checkpoint?: { last_op_id: string; buckets: WireBucket[] };
      checkpoint_diff?: { last_op_id: string; updated_buckets: WireBucket[]; removed_buckets: string[] };
    };
    if (checkpoint !== undefined) this.buckets = new Map();
    for (const bucket of checkpoint?.buckets ?? checkpoint_diff?.updated_buckets ?? [])
      this.buckets.set(bucket.bucket, bucket);
    for (const bucket of checkpoint_diff?.removed_buckets ?? []) expect(this.buckets.delete(bucket)).toBe(true);
    const opId = BigInt(checkpoint?.last_op_id ?? checkpoint_diff?.last_op_id ?? -1);
    expect(opId).toBeGreaterThanOrEqual(this.lastOpId);
    this.lastOpId = opId;
    this.log.retain(this.buckets);
  }

  #complete(priority: number): void {
    const scope = [...this.buckets.values()].filter((bucket) => bucket.priority <= priority);
    expect(this.log.verify(scope)).toEqual([]);
    this.log.apply(scope, this.lastOpId);
    if (priority < 3) return;
    this.completes++;
    const rows = new Map([...this.log.rows('t')].map(([id, row]) => [id, String(row['value'])]));
    this.completed.push({ opId: this.lastOpId, rows });
  }
}

async function simulate(seed: number): Promise<{ completes: number; interruptions: number }> {
  const { next: random, int, pick } = seededRandom(seed);
  const world = await StreamWorld.start(STATIC);
  /** bucket → row id → value. Row ids name their bucket, so that the same id never comes from two. */
  const content = new Map<string, Map<string, string>>();
  const members = new Map(USERS.map((user) => [user, new Set<string>()]));
  const truths = new Map<string, Truth[]>(USERS.map((user) => [user, []]));
  const clients = USERS.map((user) => new SimulatedClient(user));
  let at = 0;
  let interruptions = 0;

  const remember = () => {
    const opId = BigInt(world.version.feed.checkpoint?.opId ?? 0);
    for (const user of USERS) {
      const rows = new Map<string, string>();
      const names = [...STATIC.map((each) => each.bucket), ...(members.get(user) ?? [])];
      for (const name of names) for (const [id, value] of content.get(name) ?? []) rows.set(id, value);
      truths.get(user)?.push({ opId, rows });
    }
  };

  const commit = async () => {
    const rows = Array.from({ length: 1 + int(12) }, () => {
      const bucket = pick([...STATIC.map((each) => each.bucket), ...DYNAMIC]);
      const id = `${bucket}-${int(15)}`;
      const value = random() < 0.2 ? null : `v${at}-${int(100)}`;
      const held = content.get(bucket) ?? new Map<string, string>();
      content.set(bucket, held);
      if (value === null) held.delete(id);
      else held.set(id, value);
      return { bucket, id, value };
    });
    const lookups: { key: string; value: string }[] = [];
    if (random() < 0.3) {
      const user = pick(USERS);
      const own = members.get(user) as Set<string>;
      const bucket = pick(DYNAMIC);
      if (!own.delete(bucket)) own.add(bucket);
      const entries = [...own].map((name) => ({ bucket: name, priority: DYNAMIC.indexOf(name) % 4 }));
      lookups.push({ key: `of:${user}`, value: entries.length === 0 ? '' : JSON.stringify(entries) });
    }
    await world.commit(++at, rows, lookups);
    await world.until(() => world.version.feed.checkpoint?.position === String(at).padStart(8, '0'));
    remember();
  };

  const pull = async (client: SimulatedClient) => {
    if (client.connection === null) {
      const body = { buckets: client.log.positions() };
      client.connect(world.connect(client.user, { body, opsPerLine: 1 + int(20), interruptAfterOps: 1 }));
    }
    interruptions += await client.read();
  };

  try {
    await commit();
    for (let step = 0; step < 400; step++) {
      const chance = random();
      const client = pick(clients);
      if (chance < 0.12) await commit();
      else if (chance < 0.14) await leave(client);
      else await pull(client);
    }
    // Healed: everybody reads to the end.
    for (const client of clients) {
      const wanted = truths.get(client.user)?.at(-1)?.rows;
      for (let turn = 0; turn < 500; turn++) {
        await pull(client);
        if (same(client.completed.at(-1)?.rows, wanted)) break;
      }
      expect(client.completed.at(-1)?.rows).toEqual(wanted);
    }
    for (const client of clients) {
      for (const { opId, rows } of client.completed) {
        const truth = truths.get(client.user)?.filter((each) => each.opId === opId) ?? [];
        expect(
          truth.some((each) => same(each.rows, rows)),
          `seed ${seed}, ${client.user} at ${opId}`,
        ).toBe(true);
      }
    }
  } finally {
    for (const client of clients) await leave(client);
    await world.stop();
  }
  return { completes: clients.reduce((sum, client) => sum + client.completes, 0), interruptions };
}

async function leave(client: SimulatedClient): Promise<void> {
  client.connection?.disconnect();
  await quiet();
  client.connection = null;
}

function quiet(): Promise<undefined> {
  return new Promise((resolve) => {
    let turns = 0;
    const turn = () => (++turns > 20 ? resolve(undefined) : setImmediate(turn));
    turn();
  });
}

function same(a: Rows | undefined, b: Rows | undefined): boolean {
  return a !== undefined && b !== undefined && a.size === b.size && [...a].every(([id, value]) => b.get(id) === value);
}

describe('random clients and commits', () => {
  const seeds = Array.from({ length: sized(20, 500) }, (_, index) => testSeed + index);
  test(`${seeds.length} worlds`, async () => {
    let completes = 0;
    let interruptions = 0;
    for (const seed of seeds) {
      const result = await simulate(seed);
      completes += result.completes;
      interruptions += result.interruptions;
    }
    // The worlds must be lively, or they prove nothing.
    expect(completes).toBeGreaterThan(seeds.length * 20);
    expect(interruptions).toBeGreaterThan(seeds.length);
  }, 600_000);
});

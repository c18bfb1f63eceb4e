/**
 * Several processes on one storage in Postgres: two that replicate, two that serve behind a switch. A keeper starts again
 * whichever has died, as a supervisor would. Each replicator has a database user of its own, so that an audit inside the
 * storage can tell who wrote.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestDatabase } from './postgres.ts';
import { ServiceProcess } from './service-process.ts';
import { TcpSwitch } from './tcp-switch.ts';

export interface ClusterOptions {
  readonly sourceUri: string;
  readonly rules: string;
  readonly storage: TestDatabase;
  readonly leaseSeconds: number;
}

const KEEPER_MS = 200;

export class Cluster {
  readonly replicators: readonly ServiceProcess[];
  readonly servers: readonly ServiceProcess[];
  readonly door: TcpSwitch;
  #stopping = false;
  readonly #keeping: Promise<void>;

  private constructor(replicators: readonly ServiceProcess[], servers: readonly ServiceProcess[], door: TcpSwitch) {
    this.replicators = replicators;
    this.servers = servers;
    this.door = door;
    this.#keeping = this.#keep();
  }

  /** Resolves when all answer and the first of the replicators has the lease. */
  static async start({ sourceUri, rules, storage, leaseSeconds }: ClusterOptions): Promise<Cluster> {
    const options = async (role: 'replicate' | 'serve', user: string) => {
      await storage.query(`CREATE ROLE ${user} LOGIN SUPERUSER PASSWORD 'cluster'`);
      const uri = new URL(storage.uri);
      uri.username = user;
      uri.password = 'cluster';
      const settings = { type: 'postgresql', uri: String(uri), sslmode: 'disable', lease_seconds: leaseSeconds };
      return { sourceUri, rules, role, config: { storage: settings } };
    };
    const first = await ServiceProcess.start(await options('replicate', 'replicator_a'));
    const others = [
      await options('replicate', 'replicator_b'),
      await options('serve', 'server_a'),
      await options('serve', 'server_b'),
    ];
    const [second, ...servers] = (await Promise.all(others.map((each) => ServiceProcess.start(each)))) as [
      ServiceProcess,
      ...ServiceProcess[],
    ];
    return new Cluster([first, second], servers, await TcpSwitch.start(servers));
  }

  get #all(): readonly ServiceProcess[] {
    return [...this.replicators, ...this.servers];
  }

  async #keep(): Promise<void> {
    while (!this.#stopping) {
      for (const service of this.#all) if (!service.running) service.spawn();
      await sleep(KEEPER_MS);
    }
  }

  /** The replicator that does not stand by; null while none says so. */
  async leader(): Promise<ServiceProcess | null> {
    for (const replicator of this.replicators) {
      const document = await replicator.status().catch(() => null);
      const phase = (document as { streams: { phase: string | null }[] } | null)?.streams[0]?.phase ?? null;
      if (phase !== null && phase !== 'standby') return replicator;
    }
    return null;
  }

  get output(): string {
    return this.#all.map((service) => service.output.slice(-3000)).join('\n--- next process\n');
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#keeping;
    await this.door.stop();
    for (const service of this.#all) await service.dispose();
  }
}

/** From now on, the storage notes who wrote ops, in the order in which the writes took effect, and under which token. */
export async function auditWrites(storage: TestDatabase): Promise<void> {
  const [{ ops }] = (await storage.query<{ ops: string }>(
    `SELECT relname AS ops FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE nspname = 'sluice' AND relname ~ '^ops_[0-9]+$' ORDER BY relname DESC LIMIT 1`,
  )) as [{ ops: string }];
  await storage.query(`
    CREATE TABLE public.audit (seq int8 GENERATED ALWAYS AS IDENTITY, at timestamptz, who text, token int8);
    CREATE FUNCTION public.note_write() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO public.audit (at, who, token) SELECT clock_timestamp(), session_user, lease_token FROM sluice.stream_states;
      RETURN NULL;
    END $$;
    CREATE TRIGGER note_write AFTER INSERT ON sluice.${ops} FOR EACH STATEMENT EXECUTE FUNCTION public.note_write()`);
}

export interface Reign {
  readonly token: string;
  readonly who: string;
  readonly writes: number;
}

/** Who wrote under each token, in order. @throws if two wrote under one, or someone wrote under a token that was past */
export async function reigns(storage: TestDatabase): Promise<readonly Reign[]> {
  const rows = await storage.query<{ who: string; token: string }>('SELECT who, token::text FROM audit ORDER BY seq');
  const found: { token: string; who: string; writes: number }[] = [];
  for (const { who, token } of rows) {
    const last = found.at(-1);
    if (last?.token === token && last.who === who) last.writes++;
    else if (last?.token === token || BigInt(token) < BigInt(last?.token ?? 0))
      throw new Error(`${who} wrote under token ${token} after ${JSON.stringify(last)}`);
    else found.push({ token, who, writes: 1 });
  }
  return found;
}

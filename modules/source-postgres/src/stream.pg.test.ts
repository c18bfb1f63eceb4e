import { type AddressInfo, createServer } from 'node:net';
import { type Position, silentLogger, type StreamEvent, systemClock } from '@sluice/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PATIENCE_MS } from '../../../test/kit/patience.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { asStreamed, changesOf, sourceOn, streamTo, streamToHead } from '../../../test/kit/postgres-source.ts';
import { positionOfLsn } from './position.ts';
import { WalConnection } from './wal-connection.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

async function newDatabase(tables: string): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  await database.query(`${tables}; create publication powersync for all tables`);
  return database;
}

async function changesAfter(tables: string, statements: string): Promise<readonly StreamEvent[]> {
  const database = await newDatabase(tables);
  const source = sourceOn(database);
  await source.open(null);
  await database.query(statements);
  const events = await streamToHead(source);
  await source.close();
  return changesOf(events);
}

/** Checks the alphabet's promises over a whole stream. */
function expectWellFormed(events: readonly StreamEvent[]): void {
  let open = false;
  let reached: Position = '';
  for (const event of events) {
    if (event.kind === 'begin') {
      expect(open).toBe(false);
      expect(event.boundary > reached).toBe(true);
      open = true;
    } else if (event.kind === 'commit') {
      expect(open).toBe(true);
      expect(event.position > reached).toBe(true);
      reached = event.position;
      open = false;
    } else if (event.kind === 'heartbeat') {
      expect(open).toBe(false);
      expect(event.position >= reached).toBe(true);
      reached = event.position;
    } else expect(open).toBe(true);
  }
}

describe('changes', () => {
  it('come with their values as text', async () => {
    const changes = await changesAfter(
      'create table t (id int primary key, v text, n numeric)',
      "insert into t values (1, 'a', null); update t set v = 'b', n = 1.50; delete from t",
    );
    expect(changes).toMatchObject([
      { kind: 'insert', row: ['1', 'a', null] },
      { kind: 'update', row: ['1', 'b', '1.50'], before: null },
      { kind: 'delete', before: ['1', undefined, undefined] },
    ]);
  });

  it('leave out an unchanged TOAST value, and only that', async () => {
    const changes = await changesAfter(
      'create table t (id int primary key, v text, big text); alter table t alter big set storage external',
      "insert into t values (1, 'a', repeat('x', 10000)); update t set v = null; update t set big = 'small'",
    );
    expect(changes).toMatchObject([
      { kind: 'insert', row: ['1', 'a', 'x'.repeat(10_000)] },
      { kind: 'update', row: ['1', null, undefined], before: null },
      { kind: 'update', row: ['1', null, 'small'], before: null },
    ]);
  });

  it('carry the old key when the key changes', async () => {
    const changes = await changesAfter(
      'create table t (v text, id int primary key)',
      "insert into t values ('a', 1); update t set id = 2; update t set v = 'b'",
    );
    expect(changes.slice(1)).toMatchObject([
      { row: ['a', '2'], before: [undefined, '1'] },
      { row: ['b', '2'], before: null },
    ]);
  });

  it('carry the whole old row under identity FULL, and a new row without gaps', async () => {
    const changes = await changesAfter(
      'create table t (id int primary key, v text, big text); alter table t alter big set storage external; alter table t replica identity full',
      "insert into t values (1, null, repeat('x', 9000)); update t set v = 'b'; delete from t",
    );
    const big = 'x'.repeat(9_000);
    expect(changes.slice(1)).toMatchObject([
      { row: ['1', 'b', big], before: ['1', null, big], relation: { replicaIdentity: 'full' } },
      { kind: 'delete', before: ['1', 'b', big] },
    ]);
  });

  it('carry the columns of the identity index', async () => {
    const changes = await changesAfter(
      'create table t (id int primary key, a int not null, b text not null, v text); create unique index u on t (b, a); alter table t replica identity using index u',
      "insert into t values (1, 2, 'x', 'v'); update t set id = 9; update t set a = 3; delete from t",
    );
    expect(changes[0]).toMatchObject({
      relation: { replicaIdentity: 'index', columns: [{ key: false }, { key: true }, { key: true }, { key: false }] },
    });
    expect(changes.slice(1)).toMatchObject([
      { row: ['9', '2', 'x', 'v'], before: null },
      { row: ['9', '3', 'x', 'v'], before: [undefined, '2', 'x', undefined] },
      { kind: 'delete', before: [undefined, '3', 'x', undefined] },
    ]);
  });

  it('say which tables one TRUNCATE emptied', async () => {
    const changes = await changesAfter(
      'create table a (id int primary key); create table b (id int primary key references a); create table c (id int)',
      'truncate a, c cascade',
    );
    const names = changes.flatMap((each) => (each.kind === 'truncate' ? each.relations.map(({ name }) => name) : []));
    expect([...names].sort()).toEqual(['a', 'b', 'c']);
  });

  it('of partitions come under the names of the partitions', async () => {
    const changes = await changesAfter(
      `create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (10);
       create table p2 partition of p for values from (10) to (20)`,
      'insert into p values (1); update p set id = 12',
    );
    expect(changes).toMatchObject([
      { kind: 'insert', relation: { name: 'p1' } },
      { kind: 'delete', relation: { name: 'p1' }, before: ['1'] },
      { kind: 'insert', relation: { name: 'p2' }, row: ['12'] },
    ]);
  });

  it('name the types of their columns: built in, own, arrays, domains, made while the stream runs', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database);
    await source.open(null);
    const first = await streamToHead(source);
    expectWellFormed(first);
    await database.query(`create type mood as enum ('good', 'bad'); create domain percent as numeric(5, 2) check (value <= 100);
      create domain strict_percent as percent check (value > 0); create type pair as (a int, b text);
      create table u (id int8 primary key, m mood, ms mood[], p percent, ps strict_percent[], t timestamptz(3)[], c pair);
      insert into u values (1, 'good', '{bad}', 12.5, '{1,2}', '{2020-01-01}', '(1,x)')`);
    const [change] = changesOf(await streamToHead(source));
    const columns = change?.kind === 'insert' ? change.relation.columns : [];
    expect(columns.map((column) => column.type)).toEqual([
      'int8',
      'mood',
      '_mood',
      'percent',
      '_strict_percent',
      '_timestamptz',
      'pair',
    ]);
    const [found] = await source.discover([{ connectionTag: 'default', schema: 'public', name: 'u', wildcard: false }]);
    expect(found === undefined ? null : asStreamed(found.relation)).toEqual(
      change?.kind === 'insert' ? change.relation : undefined,
    );
    await source.close();
  });

  it('follow the table through ALTER TABLE', async () => {
    const changes = await changesAfter(
      'create table t (id int primary key, v text)',
      `insert into t values (1, 'a'); alter table t add w int default 7; insert into t values (2, 'b', 8);
       alter table t drop v; insert into t values (3, 9); alter table t rename to s; insert into s values (4, 10)`,
    );
    expect(changes.map((each) => (each.kind === 'insert' ? [each.relation.name, ...each.row] : null))).toEqual([
      ['t', '1', 'a'],
      ['t', '2', 'b', '8'],
      ['t', '3', '9'],
      ['s', '4', '10'],
    ]);
  });

  it('share their relation object until the table is described anew', async () => {
    const changes = await changesAfter(
      'create table t (id int primary key)',
      'insert into t values (1); insert into t values (2); insert into t values (3)',
    );
    const relations = new Set(changes.map((each) => (each.kind === 'insert' ? each.relation : null)));
    expect(relations.size).toBe(1);
  });
});

describe('positions', () => {
  it('rise over many transactions, with boundaries above all earlier commits', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database, { heartbeatIntervalMs: 1_000 });
    await source.open(null);
    const writers = await Promise.all([1, 2, 3, 4].map(() => database.connect()));
    await Promise.all(
      writers.map(async (writer, w) => {
        for (let i = 0; i < 150; i++) await writer.query('insert into t values ($1)', [w * 1_000 + i]);
        await writer.end();
      }),
    );
    const events = await streamToHead(source);
    expectWellFormed(events);
    expect(changesOf(events).length).toBe(600);
    await source.close();
  });

  it('of an idle source reach the head after a marker, whatever else the cluster writes', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const elsewhere = await newDatabase('create table t (id int)');
    const source = sourceOn(database);
    await source.open(null);
    await elsewhere.query('insert into t select generate_series(1, 1000)');
    const head = await source.head();
    await source.marker();
    const events = await streamTo(source, head);
    expectWellFormed(events);
    expect(changesOf(events)).toEqual([]);
    await source.close();
  });

  it('go on without any marker while others write: the server is asked for a sign of life', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const elsewhere = await newDatabase('create table t (id int)');
    const source = sourceOn(database, { heartbeatIntervalMs: 500 });
    const { startPosition } = await source.open(null);
    await elsewhere.query('insert into t select generate_series(1, 1000)');
    const events = await streamTo(source, await source.head());
    expect(events.every((event) => event.kind === 'heartbeat' && event.position >= startPosition)).toBe(true);
    await source.close();
  });

  it('that are acknowledged are confirmed, also while the consumer is slow', async () => {
    const database = await newDatabase('create table t (id int primary key, v text)');
    const source = sourceOn(database, { streamPendingBytesMax: 100_000 });
    const { startPosition } = await source.open(null);
    await database.query('insert into t values (1)');
    const durable = await source.head();
    await source.marker();
    await database.query("insert into t select i, repeat('x', 1000) from generate_series(2, 20000) i");
    const reader = source.stream(AbortSignal.timeout(PATIENCE_MS))[Symbol.asyncIterator]();
    await reader.next();
    // Nothing is pulled from here on: the socket is paused, megabytes wait in the server.
    source.acknowledge(durable);
    source.acknowledge(startPosition);
    await expect.poll(async () => (await source.health()).acknowledged).toBe(durable);
    const waits = await database.query<{ wait_event: string }>(
      'select wait_event from pg_stat_activity join pg_replication_slots on pid = active_pid where database = datname and database = current_database()',
    );
    expect(waits).toEqual([{ wait_event: 'WalSenderWriteData' }]);
    let rows = 0;
    while (rows < 19_999) {
      const { value } = await reader.next();
      rows += changesOf(value ?? []).length;
    }
    await reader.return?.();
    await source.close();
  });

  it('that are acknowledged lose no transaction whose commit follows at once', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database);
    const { saved } = await source.open(null);
    const [a, b] = [await database.connect(), await database.connect()];
    await a.query('begin; insert into t values (1)');
    await b.query('begin; insert into t values (2)');
    // Nothing but the two commit records is between these ends.
    await a.query('commit');
    await b.query('commit');
    const events = await streamToHead(source);
    const commits = events.flatMap((event) => (event.kind === 'commit' ? [event.position] : []));
    const begins = events.flatMap((event) => (event.kind === 'begin' ? [event.boundary] : []));
    expect(begins[1]).toBe((BigInt(`0x${commits[0]}`) + 1n).toString(16).padStart(16, '0').toUpperCase());
    source.acknowledge(commits[0] ?? '');
    await source.close();
    const again = sourceOn(database, { slotName: (saved as { slot: string }).slot });
    await again.open(saved);
    again.acknowledge(commits[0] ?? '');
    const rows = changesOf(await streamToHead(again)).flatMap((each) => (each.kind === 'insert' ? [each.row[0]] : []));
    expect(rows).toEqual(['2']);
    await Promise.all([a.end(), b.end(), again.close()]);
  });

  it('are repeated from the acknowledged one by a new stream', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database);
    await source.open(null);
    await database.query('insert into t values (1)');
    const head = await source.head();
    expect(changesOf(await streamToHead(source))).toHaveLength(1);
    expect(changesOf(await streamToHead(source))).toHaveLength(1);
    source.acknowledge(head);
    expect(changesOf(await streamToHead(source))).toHaveLength(0);
    await source.close();
  });
});

describe('a stream', () => {
  it('ends when aborted, at once, and leaves no connection', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database);
    await source.open(null);
    const stop = new AbortController();
    const running = (async () => {
      for await (const batch of source.stream(stop.signal)) expect(batch.length).toBeGreaterThan(0);
    })();
    await expect.poll(async () => (await source.health()).active).toBe(true);
    stop.abort();
    await running;
    await expect.poll(async () => (await source.health()).active).toBe(false);
    await source.close();
  });

  it('ends when aborted before the server has answered', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const silent = createServer((socket) => socket.resume());
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    const { port } = silent.address() as AddressInfo;
    const connection = WalConnection.open({
      client: {
        host: '127.0.0.1',
        port,
        user: 'x',
        password: 'x',
        database: database.name,
        // Longer than the test may take.
        connectionTimeoutMillis: 300_000,
      },
      where: 'nowhere',
      slot: 'x',
      publication: 'powersync',
      from: '',
      heartbeatIntervalMs: 1_000,
      readDeadlineMs: 60_000,
      pendingBytesMax: 1,
      clock: systemClock,
      logger: silentLogger,
      signal: AbortSignal.timeout(200),
      durable: () => '',
      onMessage: () => undefined,
      onKeepalive: () => undefined,
    });
    await expect(connection).rejects.toMatchObject({ name: 'TimeoutError' });
    await new Promise((done) => silent.close(done));
  });

  it('breaks off with a retryable error when its connection is ended, and can be taken up again', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database);
    await source.open(null);
    const running = (async () => {
      for await (const batch of source.stream(AbortSignal.timeout(PATIENCE_MS)))
        expect(batch.length).toBeGreaterThan(0);
    })().catch((error: unknown) => error);
    await expect.poll(async () => (await source.health()).active).toBe(true);
    await database.query(
      'select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database()',
    );
    expect(await running).toMatchObject({ action: 'retry', code: expect.stringMatching(/PSYNC_S1121|SLU_S1151/) });
    await database.query('insert into t values (1)');
    expect(changesOf(await streamToHead(source))).toHaveLength(1);
    await source.close();
  });

  it('breaks off when the server falls silent', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database, { readDeadlineMs: 1_500, heartbeatIntervalMs: 500 });
    await source.open(null);
    let batches = 0;
    const running = (async () => {
      for await (const batch of source.stream(AbortSignal.timeout(PATIENCE_MS))) batches += batch.length;
    })().catch((error: unknown) => error);
    await expect.poll(() => batches).toBeGreaterThan(0);
    const [{ active_pid: pid } = { active_pid: 0 }] = await database.query<{ active_pid: number }>(
      'select active_pid from pg_replication_slots where database = current_database()',
    );
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await running).toMatchObject({ code: 'SLU_S1151', message: expect.stringContaining('silent') });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await source.close();
  });

  it('stays alive on an idle source with a short wal_sender_timeout', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database, { walSenderTimeoutMs: 2_000 });
    await source.open(null);
    const stop = new AbortController();
    const seen: StreamEvent[] = [];
    const running = (async () => {
      for await (const batch of source.stream(stop.signal)) seen.push(...batch);
    })();
    await new Promise((done) => setTimeout(done, 5_000));
    await database.query('insert into t values (1)');
    await expect.poll(() => changesOf(seen)).toHaveLength(1);
    stop.abort();
    await running;
    await source.close();
  });

  it('describes a table anew when it is published anew', async () => {
    const database = await postgres.createDatabase();
    await database.query('create table t (id int primary key); create publication powersync for table t');
    const source = sourceOn(database);
    await source.open(null);
    await database.query('insert into t values (1)');
    await database.query('insert into t values (2)');
    await database.query('alter publication powersync drop table t');
    await database.query('insert into t values (3)');
    await database.query('alter publication powersync add table t');
    await database.query('insert into t values (4)');
    const changes = changesOf(await streamToHead(source)).flatMap((each) => (each.kind === 'insert' ? [each] : []));
    expect(changes.map(({ row }) => row[0])).toEqual(['1', '2', '4']);
    const [first, second, after] = changes.map(({ relation }) => relation);
    expect(second).toBe(first);
    expect(after).not.toBe(first);
    await source.close();
  });

  it('says that the publication has gone', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database);
    await source.open(null);
    await database.query('drop publication powersync; insert into t values (1)');
    await expect(streamToHead(source)).rejects.toMatchObject({ code: 'PSYNC_S1141' });
    await source.close();
  });

  it('does not begin on a server whose history ends before what was read', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    const source = sourceOn(database);
    await source.open(null);
    source.acknowledge(positionOfLsn('FFFF/0'));
    await expect(streamToHead(source)).rejects.toMatchObject({ code: 'SLU_S1150', action: 'stop' });
    await source.close();
  });

  it('survives a crash of the server: nothing acknowledged comes again, nothing else is lost', async () => {
    const own = await startPostgres();
    const database = await own.createDatabase();
    await database.query('create table t (id int primary key); create publication powersync for all tables');
    const source = sourceOn(database);
    const { saved } = await source.open(null);
    await database.query('insert into t values (1)');
    const events = await streamToHead(source);
    const commit = events.findLast((event) => event.kind === 'commit');
    source.acknowledge(commit?.kind === 'commit' ? commit.position : '');
    const running = (async () => {
      for await (const batch of source.stream(AbortSignal.timeout(PATIENCE_MS)))
        expect(batch.length).toBeGreaterThan(0);
    })().catch((error: unknown) => error);
    await expect.poll(async () => (await source.health()).active).toBe(true);
    await own.restart('immediate');
    expect(await running).toMatchObject({ action: 'retry' });
    await database.query('insert into t values (2)');
    await source.open(saved);
    const rows = changesOf(await streamToHead(source)).flatMap((each) => (each.kind === 'insert' ? [each.row] : []));
    expect(rows).toEqual([['2']]);
    await source.close();
    await own.stop();
  });
});

it('the head is an insert location', async () => {
  const database = await newDatabase('create table t (id int primary key)');
  const source = sourceOn(database);
  const [{ at } = { at: '' }] = await database.query<{ at: string }>('select pg_current_wal_insert_lsn() as at');
  const head = await source.head();
  expect(source.bytesBetween(positionOfLsn(at), head)).toBeGreaterThanOrEqual(0);
  await source.close();
});

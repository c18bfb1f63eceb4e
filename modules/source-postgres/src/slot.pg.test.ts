import type { Position } from '@sluice/core';
import type { ChangeSource, StoredReach } from '@sluice/replication';
import type { JsonValue } from '@sluice/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PATIENCE_MS } from '../../../test/kit/patience.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { sourceOn, streamToHead } from '../../../test/kit/postgres-source.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ settings: { max_slot_wal_keep_size: '1MB', max_prepared_transactions: '4' } });
});
afterAll(() => postgres.stop());

async function newDatabase(): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  await database.query('create table t (id int primary key, v text); create publication powersync for all tables');
  return database;
}

async function slotNames(database: TestDatabase): Promise<readonly string[]> {
  const rows = await database.query<{ slot_name: string }>(
    'select slot_name from pg_replication_slots where database = current_database()',
  );
  return rows.map((row) => row.slot_name);
}

function reach(saved: JsonValue, durable: Position | null = null): StoredReach {
  return { saved, asked: false, reached: async () => ({ durable, newest: durable }) };
}

/** Keeps a stream open until the returned function is called. */
async function hold(source: ChangeSource): Promise<() => Promise<void>> {
  const stop = new AbortController();
  let first = (): void => undefined;
  const started = new Promise<void>((done) => {
    first = done;
  });
  const running = (async () => {
    for await (const batch of source.stream(stop.signal)) if (batch.length > 0) first();
  })();
  await source.marker();
  await started;
  return async () => {
    stop.abort();
    await running;
  };
}

describe('opening', () => {
  it('makes a slot, and finds it again by what was saved', async () => {
    const database = await newDatabase();
    const source = sourceOn(database, { slotName: 'found_again' });
    const made = await source.open(null);
    expect(made).toMatchObject({ created: true, saved: { slot: 'found_again', database: database.name } });
    expect(made.startPosition).toMatch(/^[0-9A-F]{16}$/);
    const stored = JSON.parse(JSON.stringify(made.saved));
    const later = sourceOn(database, { slotName: 'found_again' });
    expect(await later.open(stored)).toEqual({ saved: stored, startPosition: made.startPosition, created: false });
    await Promise.all([source.close(), later.close()]);
  });

  it('streams what was committed after the start, and nothing of before', async () => {
    const database = await newDatabase();
    await database.query("insert into t values (1, 'before')");
    const source = sourceOn(database);
    await source.open(null);
    await database.query("insert into t values (2, 'after')");
    const rows = (await streamToHead(source)).flatMap((event) => (event.kind === 'insert' ? [event.row] : []));
    expect(rows).toEqual([['2', 'after']]);
    await source.close();
  });

  it('makes a leftover slot of the same name anew', async () => {
    const database = await newDatabase();
    const source = sourceOn(database, { slotName: 'leftover' });
    const first = await source.open(null);
    await database.query("insert into t values (1, 'x')");
    const second = await source.open(null);
    expect(second.startPosition > first.startPosition).toBe(true);
    await source.close();
  });

  it('says that a slot is gone', async () => {
    const database = await newDatabase();
    const source = sourceOn(database);
    const { saved } = await source.open(null);
    await source.teardown(saved);
    expect(await slotNames(database)).toEqual([]);
    await source.teardown(saved);
    expect(await source.inspect(reach(saved))).toEqual({
      kind: 'reconcile',
      reasons: [expect.stringContaining('does not exist')],
    });
    await source.close();
  });

  it('says it too where the slot goes between opening and streaming', async () => {
    const database = await newDatabase();
    const source = sourceOn(database, { slotName: 'dropped' });
    await source.open(null);
    await database.query("select pg_drop_replication_slot('dropped')");
    await expect(streamToHead(source)).rejects.toMatchObject({ code: 'PSYNC_S1146', action: 'retry' });
    await source.close();
  });

  it('says that the server gave a slot up, and why', async () => {
    const database = await newDatabase();
    const source = sourceOn(database);
    const { saved } = await source.open(null);
    for (let segment = 0; segment < 3; segment++) {
      await database.query("select pg_logical_emit_message(false, 'x', repeat('x', 100000)), pg_switch_wal()");
    }
    await database.query('checkpoint');
    const reason = expect.stringContaining('max_slot_wal_keep_size');
    const failure = expect.objectContaining({ code: 'PSYNC_S1146', message: reason });
    expect(await source.health()).toMatchObject({ status: 'lost', limitBytes: 1024 * 1024, failure });
    expect(await source.inspect(reach(saved))).toEqual({ kind: 'reconcile', reasons: [reason] });
    await expect(streamToHead(source)).rejects.toMatchObject({ code: 'PSYNC_S1146' });
    await source.close();
  });

  it('says that another database answers', async () => {
    const [one, other] = [await newDatabase(), await newDatabase()];
    const source = sourceOn(one);
    const { saved } = await source.open(null);
    const mistaken = sourceOn(other);
    await expect(mistaken.inspect(reach(saved))).rejects.toMatchObject({ code: 'SLU_S1150', action: 'stop' });
    const moved = { ...(saved as Record<string, string>), systemId: '1' };
    await expect(source.inspect(reach(moved))).rejects.toMatchObject({ code: 'SLU_S1150' });
    const stranger = reach({ token: 'of another kind' });
    await expect(source.inspect(stranger)).rejects.toMatchObject({ code: 'SLU_S1150' });
    await Promise.all([source.close(), mistaken.close()]);
  });

  it('goes on in a database that was renamed, and not in one that took its name', async () => {
    const database = await newDatabase();
    const source = sourceOn(database, { slotName: 'renamed' });
    const { saved } = await source.open(null);
    const anew = { ...(saved as Record<string, string>), databaseId: '1' };
    await expect(source.inspect(reach(anew))).rejects.toMatchObject({ code: 'SLU_S1150' });
    const before = { ...(saved as Record<string, string>), database: 'the_old_name' };
    expect(await source.inspect(reach(before))).toMatchObject({ kind: 'continue' });
    await source.close();
  });

  it('sees that a slot was dropped and made again, and that the publication was', async () => {
    const database = await newDatabase();
    const source = sourceOn(database, { slotName: 'made_again' });
    const { saved, startPosition } = await source.open(null);
    expect(await source.inspect(reach(saved, startPosition))).toMatchObject({ kind: 'continue' });
    await database.query("select pg_drop_replication_slot('made_again')");
    expect((await source.health()).failure).toMatchObject({ code: 'PSYNC_S1146' });
    await database.query("insert into t values (1, 'missed')");
    await database.query("select pg_create_logical_replication_slot('made_again', 'pgoutput')");
    const again = { kind: 'reconcile', reasons: [expect.stringContaining('made anew or moved')] };
    expect(await source.inspect(reach(saved, startPosition))).toEqual(again);
    await database.query('drop publication powersync; create publication powersync for all tables');
    expect((await source.inspect(reach(saved, startPosition))).reasons).toHaveLength(2);
    await source.close();
  });

  it('leaves a slot alone that is not ours', async () => {
    const database = await newDatabase();
    const source = sourceOn(database, { slotName: 'taken' });
    const { saved } = await source.open(null);
    await database.query("select pg_drop_replication_slot('taken'), pg_create_physical_replication_slot('taken')");
    await expect(source.inspect(reach(saved))).rejects.toMatchObject({ code: 'SLU_S1157' });
    await database.query("select pg_drop_replication_slot('taken')");
    await source.close();
  });

  it('names who holds a slot, and takes it once it is free', async () => {
    const database = await newDatabase();
    const holder = sourceOn(database, { slotName: 'held' });
    const { saved } = await holder.open(null);
    const letGo = await hold(holder);
    const [{ active_pid: pid } = { active_pid: 0 }] = await database.query<{ active_pid: number }>(
      "select active_pid from pg_replication_slots where slot_name = 'held'",
    );
    const second = sourceOn(database, { slotName: 'held', slotBusyTimeoutMs: 400 });
    const message = expect.stringContaining(`pid ${pid}`);
    await expect(second.open(saved)).rejects.toMatchObject({ code: 'SLU_S1147', message });
    const patient = sourceOn(database, { slotName: 'held', slotBusyTimeoutMs: 10_000 });
    const opening = patient.open(saved);
    await letGo();
    expect(await opening).toMatchObject({ created: false });
    await Promise.all([holder.close(), second.close(), patient.close()]);
  });

  it('streaming a held slot fails with the same code, and leaves no connection behind', async () => {
    const database = await newDatabase();
    const holder = sourceOn(database, { slotName: 'held_too' });
    const { saved } = await holder.open(null);
    const second = sourceOn(database, { slotName: 'held_too' });
    await second.open(saved);
    const letGo = await hold(holder);
    await expect(streamToHead(second)).rejects.toMatchObject({ code: 'SLU_S1147' });
    await letGo();
    await expect
      .poll(() =>
        database.query(
          "select pid from pg_stat_activity where backend_type = 'walsender' and datname = current_database()",
        ),
      )
      .toEqual([]);
    await Promise.all([holder.close(), second.close()]);
  });

  it('does not wait for ever for an open transaction, and names it', async () => {
    const database = await newDatabase();
    const writer = await database.connect();
    await writer.query("begin; insert into t values (1, 'open')");
    const source = sourceOn(database, { slotTimeoutMs: 500 });
    const message = expect.stringMatching(/pid \d+ .*insert into t/s);
    await expect(source.open(null)).rejects.toMatchObject({ code: 'SLU_S1149', message });
    expect(await slotNames(database)).toEqual([]);
    await writer.query('rollback');
    expect(await source.open(null)).toMatchObject({ created: true });
    await writer.end();
    await source.close();
  });

  it('says that all slots are taken', async () => {
    const full = await startPostgres({ settings: { max_replication_slots: '1' } });
    const database = await full.createDatabase();
    await database.query(
      "create publication powersync for all tables; select pg_create_physical_replication_slot('x')",
    );
    const source = sourceOn(database);
    await expect(source.open(null)).rejects.toMatchObject({
      code: 'SLU_S1149',
      message: expect.stringContaining('all replication slots are in use'),
    });
    await source.close();
    await full.stop();
  });

  it('tears down a slot that is in use', async () => {
    const database = await newDatabase();
    const holder = sourceOn(database);
    const { saved } = await holder.open(null);
    const stop = new AbortController();
    const running = (async () => {
      for await (const batch of holder.stream(stop.signal)) if (batch.length < 0) return;
    })().catch((error: unknown) => error);
    await expect.poll(async () => (await holder.health()).active).toBe(true);
    const other = sourceOn(database);
    await other.teardown(saved);
    expect(await slotNames(database)).toEqual([]);
    expect(await running).toMatchObject({ action: 'retry' });
    await Promise.all([holder.close(), other.close()]);
  });
});

describe('settling', () => {
  it('waits for transactions that were in progress, and not for later ones', async () => {
    const database = await newDatabase();
    const source = sourceOn(database);
    const early = await database.connect();
    const late = await database.connect();
    await early.query("begin; insert into t values (1, 'early')");
    let settled = false;
    const settling = source.settle(AbortSignal.timeout(PATIENCE_MS)).then(() => {
      settled = true;
    });
    await new Promise((done) => setTimeout(done, 300));
    await late.query("begin; insert into t values (2, 'late')");
    expect(settled).toBe(false);
    await early.query('commit');
    await settling;
    await late.query('rollback');
    await Promise.all([early.end(), late.end()]);
    await source.close();
  });

  it('waits for prepared transactions too', async () => {
    const database = await newDatabase();
    const source = sourceOn(database);
    await database.query("begin; insert into t values (1, 'p'); prepare transaction 'two phases'");
    await expect(source.settle(AbortSignal.timeout(500))).rejects.toMatchObject({ name: 'TimeoutError' });
    await database.query("commit prepared 'two phases'");
    await source.settle(AbortSignal.timeout(PATIENCE_MS));
    await source.close();
  });

  it('is immediate while nothing writes, readers or not', async () => {
    const database = await newDatabase();
    const source = sourceOn(database);
    const reader = await database.connect();
    await reader.query('begin isolation level repeatable read; select * from t');
    await source.settle(AbortSignal.timeout(PATIENCE_MS));
    await reader.end();
    await source.close();
  });
});

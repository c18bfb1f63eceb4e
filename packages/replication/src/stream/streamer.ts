/**
 * The stream writer: whole source transactions gathered, flushed, published and acknowledged. The only one to publish,
 * and only at source transaction boundaries (rule R2). Never waits for a copy: what is durable is acknowledged, visible
 * or not (rule R11).
 *
 * Per batch off the wire: transactions that ended are flushed in one storage transaction, then one commit, then one
 * acknowledgement. While storage waits for the disk, the next batch is taken; storage keeps the order of calls. A
 * transaction too large to wait for its end is flushed in parts; each part raises the position boundary to its
 * transaction, so that no checkpoint can show a part.
 */
import {
  BEFORE_ALL,
  type Clock,
  invariant,
  limits,
  type Position,
  recordKey,
  type RowChange,
  type StreamEvent,
  type TruncateChange,
} from '@sluice/core';
import type { CommitOutcome, StreamWriter } from '@sluice/storage';
import type { ChangeSource } from '../change-source.ts';
import { EmptyCheckpoints } from './empty-checkpoints.ts';
import { type CompleteRows, Gaps } from './gaps.ts';
import { evaluate } from '../rows/evaluate.ts';
import { approximateBytes, type ChangeWrite } from '../rows/row-write.ts';
import type { StreamProgress } from './stream-progress.ts';
import { Publications } from './publications.ts';
import type { TableBinding } from '../tables/table-binding.ts';
import type { TableCatalog } from '../tables/table-catalog.ts';

export interface StreamerPorts {
  readonly source: ChangeSource;
  readonly writer: StreamWriter;
  readonly catalog: TableCatalog;
  readonly clock: Clock;
  readonly progress: StreamProgress;
  /** The position boundary that was stored before this start: transactions up to it may have been applied already. */
  readonly replayUntil: Position;
  /** Completes rows that are stored with gaps, where their table's copy will not do it. */
  readonly completePartials: CompleteRows;
  /** Called after each commit that made a checkpoint. */
  readonly onCheckpoint: (outcome: CommitOutcome & { kind: 'created' }) => Promise<void>;
}

export class Streamer {
  readonly #ports: StreamerPorts;
  #writes: ChangeWrite[] = [];
  #bytes = 0;
  /** Writes before this index belong to transactions that ended. */
  #endedWrites = 0;
  #boundary: Position = BEFORE_ALL;
  /** Boundary of the newest transaction that ended. */
  #endedBoundary: Position = BEFORE_ALL;
  #ended: Position | null = null;
  #isHeartbeat = false;
  #committedAtMs: number | null = null;
  #inTransaction = false;
  /** The open transaction has rows of tables that are not replicated: perhaps storage's own. */
  #hasForeignRows = false;
  /** Rows of ours or a marker have come since the last publication. */
  #hasNews = false;
  readonly #gaps: Gaps;
  readonly #emptyCheckpoints: EmptyCheckpoints;
  #publications: Publications | null = null;

  constructor(ports: StreamerPorts) {
    this.#ports = ports;
    this.#gaps = new Gaps(ports.replayUntil, ports.completePartials);
    this.#emptyCheckpoints = new EmptyCheckpoints(ports.clock, (position) => {
      void this.#publications?.add(this.#commitEmpty(position)).catch(() => undefined);
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const publications = new Publications(failed);
    this.#publications = publications;
    const own = AbortSignal.any([signal, failed.signal]);
    try {
      for await (const batch of this.#ports.source.stream(own)) {
        for (const event of batch) {
          const waiting = this.#take(event);
          if (waiting !== null) await waiting;
        }
        await this.#publish(publications);
      }
    } finally {
      this.#emptyCheckpoints.stop();
      await publications.settled();
    }
    failed.signal.throwIfAborted();
  }

  /** Null in the common case: no promise per row. */
  #take(event: StreamEvent): Promise<void> | null {
    switch (event.kind) {
      case 'insert':
      case 'update':
      case 'delete':
        return this.#takeChange(event);
      case 'begin':
        invariant(!this.#inTransaction, 'stream: a transaction began inside another');
        this.#inTransaction = true;
        this.#hasForeignRows = false;
        this.#boundary = event.boundary;
        return null;
      case 'commit':
        this.#inTransaction = false;
        // Without any rows it is a marker, for which somebody waits.
        if (!this.#hasForeignRows) this.#hasNews = true;
        this.#ended = event.position;
        this.#ports.progress.received = event.position;
        this.#isHeartbeat = false;
        this.#committedAtMs = event.committedAtMs;
        this.#endedWrites = this.#writes.length;
        this.#endedBoundary = this.#boundary;
        this.#ports.progress.transactions++;
        return null;
      case 'heartbeat':
        invariant(!this.#inTransaction, 'stream: a heartbeat inside a transaction');
        this.#ended = event.position;
        this.#ports.progress.received = event.position;
        this.#isHeartbeat = true;
        return null;
      case 'truncate':
        return this.#truncate(event);
    }
  }

  #takeChange(change: RowChange): Promise<void> | null {
    const binding = this.#ports.catalog.known(change.relation, this.#boundary);
    if (binding === undefined) return this.#resolveThenTake(change);
    if (binding === null) this.#hasForeignRows = true;
    else this.#queue(change, binding);
    return this.#bytes > limits.streamFlushBytesMax ? this.#flushAll() : null;
  }

  async #resolveThenTake(change: RowChange): Promise<void> {
    const binding = await this.#ports.catalog.resolve(change.relation, this.#boundary);
    if (binding === null) this.#hasForeignRows = true;
    else this.#queue(change, binding);
    if (this.#bytes > limits.streamFlushBytesMax) await this.#flushAll();
  }

  #queue(change: RowChange, binding: TableBinding): void {
    const { table, keyColumns } = binding;
    const boundary = this.#boundary;
    if (boundary <= binding.foundAt) return;
    this.#hasNews = true;
    const replayed = boundary <= this.#ports.replayUntil;
    this.#ports.progress.changes++;
    if (change.kind === 'delete') {
      const key = recordKey(change.before, keyColumns);
      this.#writes.push({ kind: 'delete', binding, tableId: table.id, key, boundary });
      this.#bytes += 128;
      return;
    }
    const key = recordKey(change.row, keyColumns);
    const before = change.kind === 'update' ? change.before : null;
    const oldKey = before === null ? key : recordKey(before, keyColumns);
    this.#bytes += approximateBytes(change.row);
    if (oldKey === key) {
      this.#writes.push({ kind: 'upsert', binding, tableId: table.id, key, row: change.row, boundary, replayed });
      return;
    }
    this.#writes.push({
      kind: 'upsert',
      binding,
      tableId: table.id,
      key,
      movedFrom: oldKey,
      row: change.row,
      boundary,
      replayed,
    });
    this.#writes.push({ kind: 'delete', binding, tableId: table.id, key: oldKey, boundary });
  }

  async #truncate(change: TruncateChange): Promise<void> {
    this.#hasNews = true;
    await this.#flushAll();
    for (const relation of change.relations) {
      const { catalog } = this.#ports;
      const known = catalog.known(relation, this.#boundary);
      const binding = known === undefined ? await catalog.resolve(relation, this.#boundary) : known;
      if (binding !== null && this.#boundary > binding.foundAt) await catalog.truncate(binding, this.#boundary);
    }
  }

  /** Everything, the open transaction's rows included. */
  async #flushAll(): Promise<void> {
    await this.#flush(this.#takeWrites(this.#writes.length), this.#boundary);
  }

  #takeWrites(count: number): readonly ChangeWrite[] {
    const taken = count === this.#writes.length ? this.#writes : this.#writes.slice(0, count);
    this.#writes = count === this.#writes.length ? [] : this.#writes.slice(count);
    this.#endedWrites = Math.max(0, this.#endedWrites - count);
    if (this.#writes.length === 0) this.#bytes = 0;
    return taken;
  }

  async #flush(taken: readonly ChangeWrite[], boundary: Position): Promise<void> {
    const { clock, progress, writer, catalog } = this.#ports;
    const writes = taken.filter(({ tableId }) => !catalog.isEnded(tableId));
    if (writes.length === 0) return;
    const startedAt = clock.monotonic();
    let madePartial = false;
    const result = await writer.flush({
      writes,
      boundary,
      evaluate: (write, prior, moved, table) => {
        const effect = evaluate(write, prior, moved, table);
        if (effect?.partial) madePartial = true;
        return effect;
      },
    });
    progress.flushMs += clock.monotonic() - startedAt;
    progress.flushes++;
    if (result.kind === 'flushed') progress.ops += result.ops;
    if (madePartial) this.#gaps.leave();
  }

  /** Flush what ended, commit at the newest boundary, acknowledge: in this order. */
  async #publish(publications: Publications): Promise<void> {
    const position = this.#ended;
    if (position === null) return;
    this.#ended = null;
    if (!this.#takeNews() && !this.#emptyCheckpoints.isDue(position)) return;
    const writes = this.#takeWrites(this.#endedWrites);
    const commit = { position, createEmpty: this.#isHeartbeat, committedAtMs: this.#committedAtMs };
    const flushed = this.#flush(writes, this.#endedBoundary);
    if (writes.some(mayBePartial) || this.#gaps.areShownAt(position)) await this.#commitBehind(flushed, commit);
    else await publications.add(this.#commit(commit, flushed));
  }

  /** At once, where nothing is to be waited for: no newer commit may come before it. */
  #commitEmpty(position: Position): Promise<void> {
    const commit = { position, createEmpty: true, committedAtMs: null };
    const nothing = Promise.resolve();
    return this.#gaps.areShownAt(position) ? this.#commitBehind(nothing, commit) : this.#commit(commit, nothing);
  }

  /** Only a flush that has ended tells what gaps it left. */
  async #commitBehind(flushed: Promise<void>, commit: PendingCommit): Promise<void> {
    await flushed;
    await this.#gaps.close(commit.position);
    await this.#commit(commit, flushed);
  }

  #takeNews(): boolean {
    const hasNews = this.#hasNews;
    this.#hasNews = false;
    if (hasNews) this.#emptyCheckpoints.sawNews();
    return hasNews;
  }

  async #commit({ position, createEmpty, committedAtMs }: PendingCommit, flushed: Promise<void>): Promise<void> {
    const { source, writer, progress, clock } = this.#ports;
    const [outcome] = await Promise.all([writer.commit(position, { createEmpty }), flushed]);
    source.acknowledge(position);
    progress.durable = position;
    progress.durableAtMs = clock.now();
    progress.commits++;
    progress.gate = outcome.kind === 'blocked' ? outcome.gate : null;
    if (outcome.kind === 'blocked') {
      progress.oldestUncommittedAtMs ??= committedAtMs;
      return;
    }
    progress.oldestUncommittedAtMs = null;
    if (outcome.kind === 'created') await this.#ports.onCheckpoint(outcome);
  }
}

interface PendingCommit {
  readonly position: Position;
  readonly createEmpty: boolean;
  /** Source time of the newest transaction it covers; null if it covers none. */
  readonly committedAtMs: number | null;
}

function mayBePartial(write: ChangeWrite): boolean {
  return write.kind === 'upsert' && write.row.includes(undefined);
}

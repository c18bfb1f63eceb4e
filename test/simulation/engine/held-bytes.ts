/**
 * How much one process holds in memory that is not in storage yet, seen from outside: rows that the source handed out and
 * no flush has ended with, and changes whose flush has not answered. Judged against the bounds of the life.
 */
import type { TableId } from '@sluice/core';
import type { BucketStorage, JsonValue, StreamReader, StreamWriter } from '@sluice/storage';
import type { ChangeWrite } from '@sluice/replication';
import { approximateBytes } from '../../../packages/replication/src/rows/row-write.ts';
import { altered } from './slow-storage.ts';
import { Violation } from './witness.ts';

/** Of all copies together, and of the stream. */
export interface Bounds {
  readonly copyBytes: number;
  readonly streamBytes: number;
}

/** Rows that a task was handed, in order. */
export interface Reading {
  took(bytes: number, cursor: JsonValue): void;
  ended(): void;
}

interface Chunk {
  /** The table's identity in the source. */
  readonly sourceId: string;
  readonly bytes: number;
  readonly cursor: string;
}

export class HeldBytes {
  readonly #bounds: Bounds;
  /** Chunks that are gathered, by task. */
  readonly #gathered = new Set<Chunk[]>();
  /** Bytes of each half that is on its way to storage. */
  readonly #flushing = new Set<{ readonly bytes: number }>();
  readonly #streamed = new Set<{ readonly bytes: number }>();

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  reading(sourceId: string): Reading {
    const chunks: Chunk[] = [];
    this.#gathered.add(chunks);
    return {
      took: (bytes, cursor) => chunks.push({ sourceId, bytes, cursor: JSON.stringify(cursor) }),
      ended: () => this.#gathered.delete(chunks),
    };
  }

  /** @param stored the same storage, that answers at once */
  watching(storage: BucketStorage, stored: BucketStorage): BucketStorage {
    return altered(storage, {
      openWriter: async (id, owner) => {
        const writer = await storage.openWriter(id, owner);
        return this.#watched(writer, stored.reader(id));
      },
    });
  }

  /** @throws Violation */
  check(): void {
    if (this.#gathered.size + this.#flushing.size + this.#streamed.size === 0) return;
    const halves = [
      ...[...this.#gathered].map(bytesOf).filter((bytes) => bytes > 0),
      ...[...this.#flushing].map(({ bytes }) => bytes),
    ];
    const copied = sum(halves);
    // A half that is larger than all that there is goes alone.
    if (copied > this.#bounds.copyBytes && halves.length > 1)
      throw new Violation(`copies hold ${copied} bytes in ${halves.length} halves, of ${this.#bounds.copyBytes}`);
    const streamed = sum([...this.#streamed].map(({ bytes }) => bytes));
    if (streamed > this.#bounds.streamBytes)
      throw new Violation(`the stream holds ${streamed} bytes, of ${this.#bounds.streamBytes}`);
  }

  #watched(writer: StreamWriter, reader: StreamReader): StreamWriter {
    const sourceIds = new Map<TableId, string>();
    return altered(writer, {
      claimTask: async (ref) => {
        const task = await writer.claimTask(ref);
        for (const { id, relation } of await reader.tables()) sourceIds.set(id, relation.sourceId);
        return task;
      },
      flush: (flush) => {
        const bytes = sum((flush.writes as readonly unknown[] as readonly ChangeWrite[]).map(bytesOfWrite));
        return during(this.#streamed, { bytes }, () => writer.flush(flush));
      },
      flushSnapshot: (flush) => {
        const { bytes, cursor } = flush.progress;
        const sourceId = sourceIds.get(flush.guard.tableId) ?? '';
        this.#leave({ sourceId, bytes, cursor: JSON.stringify(cursor) });
        return during(this.#flushing, { bytes }, () => writer.flushSnapshot(flush));
      },
    });
  }

  /** What was gathered is flushed from here on. */
  #leave({ sourceId, bytes, cursor }: Chunk): void {
    for (const chunks of this.#gathered) {
      const at = chunks.findIndex((chunk) => chunk.cursor === cursor && chunk.sourceId === sourceId);
      if (at < 0 || bytesOf(chunks.slice(0, at + 1)) !== bytes) continue;
      chunks.splice(0, at + 1);
      return;
    }
    throw new Error(`a half of ${bytes} bytes of ${sourceId} up to ${cursor} was gathered by nobody`);
  }
}

async function during<T, Result>(set: Set<T>, entry: T, work: () => Promise<Result>): Promise<Result> {
  set.add(entry);
  try {
    return await work();
  } finally {
    set.delete(entry);
  }
}

function bytesOfWrite(write: ChangeWrite): number {
  return write.kind === 'delete' ? 128 : approximateBytes(write.row);
}

function bytesOf(chunks: readonly Chunk[]): number {
  return sum(chunks.map(({ bytes }) => bytes));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

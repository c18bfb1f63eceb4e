/** What storage says of a copy while nobody writes it, and which reads of the source that makes superfluous. */
import { limits } from '@sluice/core';
import type { BucketStorage, TableState, TaskState } from '@sluice/storage';
import type { Client } from 'pg';
import type { BlockRead } from './block-reads.ts';

/** What one task may hold that its cursor does not cover: one chunk. */
export const IN_FLIGHT_BYTES_MAX = limits.snapshotChunkBytesMax;

/** Blocks are seen on the wire. */
export const READ_BY_BLOCKS = { snapshot: { strategy: 'blocks' } } as const;

export interface StoredCopy {
  /** Newest op id of the newest stream, published or not. */
  readonly headOp: number;
  readonly streamId: number;
  readonly tables: readonly TableState[];
  readonly tasks: readonly TaskState[];
}

export const nothingStored: StoredCopy = { headOp: 0, streamId: 0, tables: [], tasks: [] };

export async function readStoredCopy(open: () => Promise<BucketStorage>): Promise<StoredCopy> {
  const storage = await open();
  try {
    const stream = (await storage.listStreams()).at(-1);
    if (stream === undefined) return nothingStored;
    const reader = storage.reader(stream.id);
    const { headOp } = await reader.checkpointState();
    return { headOp, streamId: stream.id, tables: await reader.tables(), tasks: await reader.tasks() };
  } finally {
    await storage.close();
  }
}

interface TaskReads {
  readonly table: TableState;
  readonly task: TaskState;
  /** Block from which on a restart reads. */
  readonly cursor: number;
  readonly reads: readonly BlockRead[];
}

/** Reads of blocks, made after the copy was found in this state, that were not necessary. */
export function readAgain(stored: StoredCopy, reads: readonly BlockRead[]): readonly BlockRead[] {
  return readsByTask(stored, reads).flatMap(({ task, cursor, reads: own }) =>
    own.filter((read) => task.state === 'done' || read.from < cursor),
  );
}

/**
 * The most that one task has read and not stored: bytes between its stored cursor and the end of its newest read. That
 * much is read again.
 */
export async function inFlightBytes(stored: StoredCopy, reads: readonly BlockRead[], source: Client): Promise<number> {
  const sizes = await tableSizes(source);
  const inFlight = readsByTask(stored, reads)
    .filter(({ task }) => task.state !== 'done')
    .map(({ table, cursor, reads: own }) => {
      const size = sizes.get(table.relation.name);
      // Reads may ask for more blocks than there are.
      const reached = Math.min(size?.blocks ?? 0, Math.max(cursor, ...own.map((read) => read.to)));
      return Math.max(0, reached - cursor) * (size?.blockBytes ?? 0);
    });
  return Math.max(0, ...inFlight);
}

/** Blocks of each table, and bytes of one with what its rows keep elsewhere. */
async function tableSizes(
  source: Client,
): Promise<ReadonlyMap<string, { readonly blocks: number; readonly blockBytes: number }>> {
  const { rows } = await source.query<{ relname: string; blocks: number; bytes: number }>(
    `SELECT relname, (pg_relation_size(oid) / 8192)::int AS blocks,
       (pg_table_size(oid) / greatest(1, pg_relation_size(oid) / 8192))::int AS bytes
     FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
  );
  return new Map(rows.map(({ relname, blocks, bytes }) => [relname, { blocks, blockBytes: bytes }]));
}

function readsByTask({ tables, tasks }: StoredCopy, reads: readonly BlockRead[]): readonly TaskReads[] {
  return tables.flatMap((table) =>
    tasks
      .filter((task) => task.tableId === table.id)
      .map((task) => {
        const { from, to } = task.range as { readonly from: number; readonly to: number | null };
        const inside = (read: BlockRead) => read.from >= from && (to === null || read.from < to);
        return {
          table,
          task,
          cursor: typeof task.cursor === 'number' ? task.cursor : from,
          reads: reads.filter((read) => read.table === table.relation.name && inside(read)),
        };
      }),
  );
}

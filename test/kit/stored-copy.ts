/** What storage says of a copy while nobody writes it, and which reads of the source that makes superfluous. */
import { silentLogger, systemClock } from '@sluice/core';
import type { TableState, TaskState } from '@sluice/storage';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import type { BlockRead } from './block-reads.ts';

export interface StoredCopy {
  /** Newest op id of the newest stream, published or not. */
  readonly headOp: number;
  readonly streamId: number;
  readonly tables: readonly TableState[];
  readonly tasks: readonly TaskState[];
}

export const nothingStored: StoredCopy = { headOp: 0, streamId: 0, tables: [], tasks: [] };

export async function readStoredCopy(path: string): Promise<StoredCopy> {
  const storage = await openLmdbStorage({ path, clock: systemClock, logger: silentLogger });
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
 * Per task: how many blocks were read before the crash and are not covered by its stored cursor, so are read again.
 * @param blocksOf how many blocks each table has: reads may ask for more
 */
export function blocksInFlight(
  stored: StoredCopy,
  reads: readonly BlockRead[],
  blocksOf: ReadonlyMap<string, number>,
): readonly InFlight[] {
  return readsByTask(stored, reads)
    .filter(({ task }) => task.state !== 'done')
    .map(({ table, task, cursor, reads: own }) => {
      const { name } = table.relation;
      const reached = Math.min(blocksOf.get(name) ?? 0, Math.max(cursor, ...own.map((read) => read.to)));
      return { table: name, task: task.index, blocks: Math.max(0, reached - cursor) };
    });
}

export interface InFlight {
  readonly table: string;
  readonly task: number;
  readonly blocks: number;
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

/**
 * The only way to write. One call is one transaction: `work` runs synchronously while the write lock is held, and
 * whatever it throws undoes all of it (lmdb's own `transaction` would keep the puts that came before the throw). The
 * commit and its fsync happen on LMDB's thread; calls made meanwhile share the next commit.
 */
import { SluiceError } from '@sluice/core';
import { hashFiltersOf } from './record-index/hash-filters.ts';
import type { Schema } from './schema.ts';

export interface Written<T> {
  readonly value: T;
  /** Resolves when the transaction is on disk. */
  readonly durable: Promise<void>;
}

/** Resolves when the transaction is committed: visible to all readers, and safe from the death of the process. */
export async function commitVisibly<T>(schema: Schema, work: () => T): Promise<Written<T>> {
  try {
    const committed = schema.root.childTransaction(() => {
      try {
        return work();
      } catch (error) {
        hashFiltersOf(schema).forgetAll();
        throw error;
      }
    });
    const durable = schema.root.flushed.then(() => undefined);
    durable.catch(() => undefined);
    return { value: await committed, durable };
  } catch (error) {
    hashFiltersOf(schema).forgetAll();
    throw translate(error);
  }
}

/** Resolves when the transaction is on disk. */
export async function atomically<T>(schema: Schema, work: () => T): Promise<T> {
  const { value, durable } = await commitVisibly(schema, work);
  await durable;
  return value;
}

function translate(error: unknown): unknown {
  if (error instanceof Error && /MDB_MAP_FULL|ENOSPC|No space left/.test(error.message)) {
    return new SluiceError('SLU_T1203', `LMDB storage: ${error.message}`, { cause: error });
  }
  return error;
}

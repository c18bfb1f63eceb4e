/** The stores of the database and how it is opened. What stands in them is said in docs/decisions/0004-lmdb-layout.md. */
import { SluiceError } from '@sluice/core';
import { type Database, open, type RootDatabase } from 'lmdb';
import { FORMAT_VERSION, FORMATS_READ } from './config.ts';
import { documentKey } from './keys.ts';
import { INDEX_LIMITS, type IndexLimits } from './record-index/index-limits.ts';

export type Store = Database<Buffer, Buffer>;

export interface Schema {
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly mapSizeBytes: number;
  readonly indexLimits: IndexLimits;
  /** Small JSON documents: streams, checkpoint states, leases, tables, tasks, counters. */
  readonly documents: Store;
  /** Bucket name → its number, sums and last op. */
  readonly buckets: Store;
  /** Runs of ops, by bucket and last op. What is read is overwritten by the next read. */
  readonly ops: Store;
  /** Groups of source records, by table and group number. */
  readonly records: Store;
  /** Hash of a record key → numbers of the records that may have it. */
  readonly index: Store;
  /** Entries that are not in their pages of the index yet: blocks of them, in parts. */
  readonly indexJournal: Store;
  /** Numbers of the records that miss values. */
  readonly partials: Store;
  /** Numbers of the records that are tombstones. */
  readonly tombstones: Store;
  /** Lookup entries, by lookup key, source row and op id. */
  readonly lookups: Store;
  /** What the newest flushes touched. */
  readonly changes: Store;
  /** Write checkpoints, by user. */
  readonly users: Store;
}

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const;

/** Values are given where LMDB put them; the next read of any store overwrites them. */
const IN_PLACE = {
  ...BINARY,
  encoder: {
    encode: (value: Buffer) => value,
    decode: (bytes: Uint8Array, size: number) => Buffer.from(bytes.buffer, bytes.byteOffset, size),
  },
} as const;

/** @throws SLU_T1201 if the path cannot be opened, SLU_T1202 if another format stands there. */
export function openSchema(path: string, mapSizeBytes: number, indexLimits = INDEX_LIMITS): Schema {
  let schema: Schema;
  try {
    schema = { ...openStores(path, mapSizeBytes), indexLimits };
  } catch (error) {
    throw new SluiceError('SLU_T1201', `LMDB storage: ${error instanceof Error ? error.message : String(error)}`, {
      where: path,
      cause: error,
    });
  }
  checkFormat(schema, path);
  return schema;
}

function openStores(path: string, mapSize: number): Omit<Schema, 'indexLimits'> {
  const root = open<Buffer, Buffer>({ path, mapSize, maxDbs: 16, noMemInit: true, noSubdir: false, ...BINARY });
  const store = (name: string): Store => root.openDB<Buffer, Buffer>({ name, ...BINARY });
  return {
    root,
    mapSizeBytes: mapSize,
    documents: store('documents'),
    buckets: store('buckets'),
    ops: root.openDB<Buffer, Buffer>({ name: 'ops', ...IN_PLACE }),
    records: store('records'),
    index: store('index'),
    indexJournal: store('indexJournal'),
    partials: store('partials'),
    tombstones: store('tombstones'),
    lookups: store('lookups'),
    changes: store('changes'),
    users: store('users'),
  };
}

function checkFormat(schema: Schema, path: string): void {
  const key = documentKey('format');
  const found = schema.root.transactionSync(() => {
    const stored = getDocument<{ version: number }>(schema.documents, key);
    if (stored !== null && !FORMATS_READ.includes(stored.version)) return stored.version;
    if (stored?.version !== FORMAT_VERSION) putDocument(schema.documents, key, { version: FORMAT_VERSION });
    return FORMAT_VERSION;
  });
  if (found === FORMAT_VERSION) return;
  throw new SluiceError('SLU_T1202', `the storage has format ${found}; this program reads format ${FORMAT_VERSION}`, {
    where: path,
  });
}

export function getDocument<T>(store: Store, key: Buffer): T | null {
  const bytes = store.getBinaryFast(key);
  return bytes === undefined ? null : (JSON.parse(bytes.toString('utf8', 0, bytes.length)) as T);
}

export function putDocument(store: Store, key: Buffer, document: unknown): void {
  store.putSync(key, Buffer.from(JSON.stringify(document)));
}

/** @throws SLU_T1203 when the database has grown to its limit (LMDB itself would grow the map silently) */
export function assertRoom({ root, mapSizeBytes }: Schema): void {
  const { lastPageNumber, pageSize } = root.getStats() as { lastPageNumber: number; pageSize: number };
  const bytes = lastPageNumber * pageSize;
  if (bytes < mapSizeBytes) return;
  throw new SluiceError('SLU_T1203', `the database has ${bytes} bytes, the limit is ${mapSizeBytes}`);
}

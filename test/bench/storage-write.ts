/**
 * The bare engine under the LMDB storage, to measure the storage against: the same stores, the same value sizes and the
 * same transactions, written straight with lmdb, without evaluation, port, packing or tables.
 */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';

export type KeyKind = 'serial' | 'random';

export interface RawStorageWriteOptions {
  /** An empty or missing directory. */
  readonly path: string;
  readonly rows: number;
  /** Bytes of one row's JSON. */
  readonly rowBytes: number;
  /** Keys are stored by hash, so both touch every page of the index; they differ in the order. */
  readonly keyKind: KeyKind;
  /** Rows of one transaction; by default as many as a snapshot flush of 8 MiB holds. */
  readonly flushRows?: number;
}

export interface RawStorageWrite {
  readonly rows: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** Size of the database file afterwards. */
  readonly fileBytes: number;
}

export interface RawStorageScan {
  /** Values of the op store: each a run of ops. */
  readonly runs: number;
  readonly ops: number;
  /** Of bodies. */
  readonly bytes: number;
  readonly checksum: number;
  readonly seconds: number;
  readonly opsPerSecond: number;
}

/** What the storage adds to a row's JSON: names and checksum in the op; membership, key and lengths in the record. */
const OP_OVERHEAD_BYTES = 110;
const RECORD_OVERHEAD_BYTES = 60;
const RUN_BYTES = 8 * 4096 - 16;
const GROUP_BYTES = 4096 - 16;
const GROUP_SLOTS = 64;
const ENTRY_BYTES = 10;
const INDEX_PAGE_BYTES = 4080;
/** How full pages are that split in halves, on average. */
const PAGE_FILL = 0.7;
/** Of a flush's index entries that wait until their part of the pages is merged. */
const JOURNAL_BYTES = 32_750;
const ENTRIES_PER_PAGE = 64;
const JOURNAL_BLOCKS = 64;
const FLUSH_BYTES = 8 * 1024 * 1024;
const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const;

type Store = Database<Buffer, Buffer>;

interface Stores {
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly ops: Store;
  readonly records: Store;
  readonly index: Store;
  readonly journal: Store;
}

function openStores(path: string): Stores {
  const root = open<Buffer, Buffer>({ path, maxDbs: 16, noMemInit: true, noSubdir: false, ...BINARY });
  const store = (name: string): Store => root.openDB<Buffer, Buffer>({ name, ...BINARY });
  return { root, ops: store('ops'), records: store('records'), index: store('index'), journal: store('indexJournal') };
}

/** Writes durably, one transaction behind the other's fsync, as the storage does. */
export async function rawStorageWrite(options: RawStorageWriteOptions): Promise<RawStorageWrite> {
  const { path, rows, rowBytes } = options;
  const flushRows = options.flushRows ?? Math.floor(FLUSH_BYTES / rowBytes);
  const stores = openStores(path);
  const flush = flushWriter(stores, options);
  const startedAt = performance.now();
  let durable: PromiseLike<unknown> = Promise.resolve();
  for (let first = 0; first < rows; first += flushRows) {
    const committed = stores.root.childTransaction(() => flush(first, Math.min(flushRows, rows - first)));
    durable = stores.root.flushed;
    await committed;
  }
  await durable;
  const seconds = (performance.now() - startedAt) / 1000;
  await stores.root.close();
  return { rows, seconds, rowsPerSecond: rows / seconds, fileBytes: statSync(join(path, 'data.mdb')).size };
}

function flushWriter({ ops, records, index, journal }: Stores, { rowBytes, keyKind }: RawStorageWriteOptions) {
  const opBytes = rowBytes + OP_OVERHEAD_BYTES;
  const recordBytes = rowBytes + RECORD_OVERHEAD_BYTES;
  const opsPerRun = Math.max(1, Math.floor(RUN_BYTES / opBytes));
  const recordsPerGroup = Math.min(GROUP_SLOTS, Math.max(1, Math.floor(GROUP_BYTES / recordBytes)));
  const slab = Buffer.from(randomBytes(2 * Math.max(RUN_BYTES, opBytes, recordBytes)));
  const prefixed = Buffer.alloc(16);
  let groups = 0;
  let indexed = 0;
  let flushes = 0;
  const putPages = (from: number, count: number, pages: number): void => {
    for (let page = 0; page < count; page++) {
      const at = keyKind === 'serial' ? (from + page) % pages : Math.floor(Math.random() * pages);
      index.putSync(numbered(prefixed, at, 13), slab.subarray(0, INDEX_PAGE_BYTES * PAGE_FILL));
    }
  };
  return (first: number, count: number): void => {
    for (let row = 0; row < count; row += opsPerRun) {
      const taken = Math.min(opsPerRun, count - row);
      const run = slab.subarray(0, taken * opBytes);
      run.writeUInt32LE(taken, 0);
      ops.putSync(numbered(prefixed, first + row + taken, 16), run);
    }
    for (let row = 0; row < count; row += recordsPerGroup) {
      const taken = Math.min(recordsPerGroup, count - row);
      records.putSync(numbered(prefixed, ++groups, 12), slab.subarray(0, taken * recordBytes));
    }
    indexed += count;
    const pages = Math.ceil((indexed * ENTRY_BYTES) / (INDEX_PAGE_BYTES * PAGE_FILL));
    const merged = count / (ENTRIES_PER_PAGE * pages);
    if (merged >= 0.5) {
      putPages(0, Math.min(pages, count), pages);
      return;
    }
    flushes++;
    for (let at = 0; at < count * ENTRY_BYTES; at += JOURNAL_BYTES) {
      const bytes = Math.min(JOURNAL_BYTES, count * ENTRY_BYTES - at);
      journal.putSync(
        numbered(prefixed, 16 * (flushes % JOURNAL_BLOCKS) + at / JOURNAL_BYTES, 16),
        slab.subarray(0, bytes),
      );
    }
    const slice = Math.ceil(merged * pages);
    putPages((flushes * slice) % pages, slice, pages);
  };
}

function numbered(key: Buffer, value: number, bytes: number): Buffer {
  key.fill(0);
  key.writeUInt32BE(1, 0);
  key.writeUInt32BE(1, 4);
  key.writeUIntBE(value, bytes - 6, 6);
  return key.subarray(0, bytes);
}

/**
 * Reads every op of a database that the storage wrote, in order: its id, its checksum and where its body is. Whoever sends
 * ops must know that much of each; the bodies are looked at no further.
 */
export async function rawStorageScan({ path }: { readonly path: string }): Promise<RawStorageScan> {
  const { root, ops } = openStores(path);
  const startedAt = performance.now();
  let runs = 0;
  let count = 0;
  let bytes = 0;
  let checksum = 0;
  for (const { key, value } of ops.getRange({})) {
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    const lastOp = key.readUInt32BE(8) * 2 ** 32 + key.readUInt32BE(12);
    const inRun = view.getUint32(0, true);
    runs++;
    count += inRun;
    let bodyFrom = 8 + inRun * 12;
    for (let entry = 8; entry < 8 + inRun * 12; entry += 12) {
      const bodyEnd = 8 + inRun * 12 + view.getUint32(entry + 4, true);
      if (lastOp - view.getUint32(entry, true) <= 0) throw new Error('an op without an id');
      checksum = (checksum + view.getInt32(entry + 8, true)) | 0;
      bytes += bodyEnd - bodyFrom;
      bodyFrom = bodyEnd;
    }
  }
  const seconds = (performance.now() - startedAt) / 1000;
  await root.close();
  return { runs, ops: count, bytes, checksum, seconds, opsPerSecond: count / seconds };
}

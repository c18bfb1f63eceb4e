/** Lists of documents, of which only those are parsed that have changed since they were listed last. */
import { afterPrefix } from './keys.ts';
import type { Store } from './schema.ts';

interface Parsed {
  readonly key: Buffer;
  readonly bytes: Buffer;
  readonly document: unknown;
}

/** What a document of an older version lacks is filled in by this. */
type Fill<T> = (stored: T) => T;

interface Listing<T> {
  readonly store: Store;
  /** Of the keys. */
  readonly prefix: Buffer;
  readonly fill: Fill<T>;
}

/** In the order of their keys. */
export function listDocuments<T>(listing: Listing<T>): readonly T[] {
  return read(listing, []).map(({ document }) => document as T);
}

/**
 * Whenever a task ends, a copy looks at all that are stored; with hundreds of tables most of its time would go into
 * parsing what is as it was. Bytes decide, so that it does not matter who has written them, or undone that.
 */
export class ParsedDocuments {
  readonly #lists = new Map<string, readonly Parsed[]>();

  /** The same object for the same bytes: nobody may change it. */
  list<T>(listing: Listing<T>): readonly T[] {
    const name = listing.prefix.toString('latin1');
    const list = read(listing, this.#lists.get(name) ?? []);
    this.#lists.set(name, list);
    return list.map(({ document }) => document as T);
  }
}

/** @param before an earlier list of the same prefix */
function read<T>({ store, prefix, fill }: Listing<T>, before: readonly Parsed[]): readonly Parsed[] {
  const list: Parsed[] = [];
  let at = 0;
  for (const { key, value: bytes } of store.getRange({ start: prefix, end: afterPrefix(prefix) })) {
    while (at < before.length && Buffer.compare(before[at]?.key as Buffer, key) < 0) at++;
    const known = before[at];
    const isSame = known !== undefined && known.key.equals(key) && known.bytes.equals(bytes);
    list.push(isSame ? known : { key, bytes, document: fill(JSON.parse(bytes.toString()) as T) });
  }
  return list;
}

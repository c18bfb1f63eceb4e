/**
 * What a checkpoint may show: for each table name, the rows of the source at the checkpoint's position. Data definition
 * is not in the source's log, so it may be noticed late: until a row of the table as it is now has come through the
 * stream, what the name stood for before may still be shown, as it was at its end. Never a mixture, and never back.
 */
import type { Position, Relation } from '@sluice/core';
import { expectedOf, inScope } from './rules.ts';
import type { SourceDatabase, Transaction } from './source-database.ts';
import { type DatabaseState, rawRow, type Row, type Shape } from './tables.ts';
import { Violation } from './witness.ts';

type Held = ReadonlyMap<string, string>;

/** What a name stood for during a stretch of the log. */
interface Candidate {
  /** What was shown with a higher rank may not be followed by this. */
  readonly rank: number;
  /** By the columns that it has now; then by those that it had in this era, which rows may have that have not changed. */
  readonly expected: readonly Held[];
}

const NOTHING: readonly Held[] = [new Map<string, string>()];

export class Oracle {
  readonly #database: SourceDatabase;
  /** By table name: the era that was shown last. */
  readonly #shown = new Map<string, number>();

  constructor(database: SourceDatabase) {
    this.#database = database;
  }

  /** @throws Violation */
  judge(held: Held, position: Position): void {
    for (const [name, rows] of this.#byName(held)) this.#judgeName(name, rows, position);
  }

  /** What is not shown as it is in the source now, data definition included; null if everything is. */
  unnoticed(held: Held): string | null {
    for (const [name, rows] of this.#byName(held)) {
      const expected = this.#now(name);
      const isLeftOut = tableNamed(this.#database.now, name)?.shape.identity === 'nothing' && rows.size === 0;
      if (!isLeftOut && !isSame(rows, expected)) return difference(name, rows, expected[0] ?? new Map());
    }
    return null;
  }

  /** By the columns that the table has now; rows may lack columns that are null. */
  #now(name: string): readonly Held[] {
    const table = tableNamed(this.#database.now, name);
    if (table === null) return NOTHING;
    const rows = [...table.rows.values()];
    return [expectedOf(table.shape, rows), ...withoutNulls(table.shape, this.#database.log, rows)];
  }

  #byName(held: Held): readonly (readonly [string, Held])[] {
    const byName = groupByName(held);
    const names = new Set([...byName.keys(), ...this.#names()]);
    return [...names].map((name) => [name, byName.get(name) ?? new Map<string, string>()]);
  }

  #names(): readonly string[] {
    const names = new Set<string>();
    for (const { state } of this.#database.log) for (const { shape } of state.values()) names.add(shape.name);
    return [...names].filter(inScope);
  }

  #judgeName(name: string, held: Held, position: Position): void {
    const candidates = this.#candidates(name, position);
    const shown = this.#shown.get(name) ?? -1;
    // The earliest that it can be: an empty table may be one that is not shown yet.
    const match = candidates.findLast(({ rank, expected }) => rank >= shown && isSame(held, expected));
    if (match === undefined) throw new Violation(difference(name, held, candidates[0]?.expected[0] ?? new Map()));
    this.#shown.set(name, match.rank);
  }

  /** What the name stands for at the position; then, going back, what it stood for while nobody can have noticed. */
  #candidates(name: string, position: Position): readonly Candidate[] {
    const log = this.#database.log.filter((transaction) => transaction.position <= position);
    const found: Candidate[] = [];
    let end = log.length - 1;
    while (end >= 0) {
      const table = tableNamed((log[end] as Transaction).state, name);
      const shape = table?.shape ?? null;
      const start = eraStart(log, end, name);
      const shapes = new Set(
        log
          .slice(start, end + 1)
          .map((transaction) => shapeNamed(transaction, name))
          .reverse(),
      );
      const rows = [...(table?.rows.values() ?? [])];
      const expected = [...shapes].map((each) => (each === null ? new Map<string, string>() : expectedOf(each, rows)));
      // Nobody can notice that the name stood for something else in between.
      for (const old of shape === null ? [] : earlierShapes(shape, log.slice(0, start)))
        expected.push(expectedOf(old, rows));
      found.push({ rank: 2 * start + 1, expected });
      // It may never have been found as one that can be read.
      if (this.#database.everDenied.has(shape?.oid ?? '')) {
        // Or have been found as something else in between, which ends it: what cannot be read is not copied anew.
        const wasOther = [...shapes].some((each) => !isSameEra(each, shape));
        found.push({ rank: 2 * start + (wasOther ? 1 : 0), expected: NOTHING });
      }
      // Its changes cannot be told from the log, so it may not be taken in at all.
      if (this.#database.log.some(({ state }) => state.get(shape?.oid ?? '')?.shape.identity === 'nothing'))
        found.push({ rank: 2 * start, expected: NOTHING });
      // New: not found yet, or copied and streamed aside until it can be shown as a whole.
      if (table !== null && start > 0) found.push({ rank: 2 * start, expected: NOTHING });
      if (log.slice(start, end + 1).some((transaction) => mentions(transaction, name, shape))) break;
      end = start - 1;
    }
    return found;
  }
}

function tableNamed(state: DatabaseState, name: string) {
  for (const table of state.values()) if (table.shape.name === name) return table;
  return null;
}

function shapeNamed(transaction: Transaction | undefined, name: string): Shape | null {
  return (transaction === undefined ? null : tableNamed(transaction.state, name))?.shape ?? null;
}

/** What the table was under this name before columns were added. */
function earlierShapes(shape: Shape, before: readonly Transaction[]): readonly Shape[] {
  const earlier = new Set(before.map((transaction) => shapeNamed(transaction, shape.name)));
  return [...earlier].filter((old) => old !== null && isSameEra(old, shape)) as Shape[];
}

/** Rows that were read by the columns of before lack those that came since, which is no difference if they are null. */
function withoutNulls(shape: Shape, before: readonly Transaction[], rows: readonly Row[]): readonly Held[] {
  return earlierShapes(shape, before).map((old) => {
    const known = old.columns.length;
    const hasNulls = (row: Row) =>
      rawRow(shape, row)
        .slice(known)
        .every((value) => value === null);
    return new Map([...expectedOf(shape, rows), ...expectedOf(old, rows.filter(hasNulls))]);
  });
}

function eraStart(log: readonly Transaction[], end: number, name: string): number {
  const shape = shapeNamed(log[end], name);
  let start = end;
  for (let index = end; index >= 0; index--) {
    const before = shapeNamed(log[index], name);
    if (before?.oid !== shape?.oid) break;
    if (isSameEra(before, shape)) start = index;
  }
  return start;
}

/** The same physical table under the same name, and no column changed that was there before; others may have come and gone. */
function isSameEra(before: Shape | null, after: Shape | null): boolean {
  if (before === null || after === null) return before === after;
  if (before.oid !== after.oid || before.name !== after.name) return false;
  if (before.publication.version !== after.publication.version) return false;
  return before.columns.every((column, at) => {
    const now = after.columns[at];
    return now?.name === column.name && now.typeId === column.typeId && now.attribute === column.attribute;
  });
}

function mentions({ events }: Transaction, name: string, shape: Shape | null): boolean {
  const is = (relation: Relation) => relation.name === name || relation.sourceId === shape?.oid;
  return events.some((event) =>
    event.kind === 'truncate' ? event.relations.some(is) : 'relation' in event && is(event.relation),
  );
}

function groupByName(held: Held): ReadonlyMap<string, Held> {
  const byName = new Map<string, Map<string, string>>();
  for (const [row, data] of held) {
    const name = row.slice(row.indexOf(' ') + 1, row.lastIndexOf('/'));
    byName.set(name, (byName.get(name) ?? new Map<string, string>()).set(row, data));
  }
  return byName;
}

function isSame(held: Held, expected: readonly Held[]): boolean {
  const rows = new Set([...held.keys(), ...(expected[0]?.keys() ?? [])]);
  return [...rows].every((row) => expected.some((each) => each.get(row) === held.get(row)));
}

function difference(name: string, held: Held, expected: Held): string {
  const lines = [`${name} is not what it was in the source:`];
  for (const row of new Set([...held.keys(), ...expected.keys()])) {
    if (held.get(row) !== expected.get(row)) lines.push(`  ${row} is ${held.get(row)}, was ${expected.get(row)}`);
  }
  return lines.join('\n');
}

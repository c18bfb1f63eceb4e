/** What the load writes: one seeded transaction after another, as SQL. Knows all live rows, reads none. */
import { TRANSACTION_SETTING } from './history.ts';
import { DATA_TABLES, type DataTable, type Population, rowId, rowValues, rowWhere } from './schema.ts';
import { type SeededRandom, seededRandom } from './seeded-random.ts';

export interface LoadTransaction {
  readonly writes: readonly string[];
  readonly rollback: boolean;
}

/** As one text for one round trip. `number` is what the ticker is set to; a rolled back transaction sets nothing. */
export function transactionSql({ writes, rollback }: LoadTransaction, number: number): string {
  return [
    `BEGIN; SET LOCAL ${TRANSACTION_SETTING} = ${number}`,
    ...writes,
    ...(rollback ? ['ROLLBACK'] : [`UPDATE ticker SET n = ${number}`, 'COMMIT']),
  ].join('; ');
}

type Kind =
  | 'insert'
  | 'update'
  | 'delete'
  | 'rekey'
  | 'move'
  | 'toast'
  | 'reinsert'
  | 'membership'
  | 'nothing'
  | 'person';

/** Shares of the kinds of writes, in percent. */
const MIX: Readonly<Record<Kind, number>> = {
  insert: 22,
  update: 30,
  delete: 16,
  rekey: 8,
  move: 7,
  toast: 8,
  reinsert: 3,
  membership: 3,
  nothing: 2,
  person: 1,
};

const KINDS = (Object.keys(MIX) as Kind[]).flatMap((kind) => Array<Kind>(MIX[kind]).fill(kind));

export class LoadWriter {
  readonly #population: Population;
  readonly #random: SeededRandom;
  readonly #live: ReadonlyMap<DataTable, LiveRows>;
  #nextMembership: number;

  constructor(population: Population, seed: number) {
    this.#population = population;
    this.#random = seededRandom(seed);
    // A later load with another seed must not invent the rows of an earlier one again.
    const firstNew = population.perTable + 1 + (seed % 1000) * 10_000_000;
    this.#live = new Map(DATA_TABLES.map((table) => [table, new LiveRows(population.perTable, firstNew)]));
    this.#nextMembership = population.memberships + firstNew;
  }

  transaction(): LoadTransaction {
    const random = this.#random;
    // Mostly small, some of twenty writes.
    const size = 1 + random.int(random.int(4) === 0 ? 20 : 4);
    if (random.int(100) === 0) return { writes: [this.#update(), this.#update()], rollback: true };
    const writes: string[] = [];
    while (writes.length < size) writes.push(...this.#write());
    return { writes, rollback: false };
  }

  /** Empties a table that nothing else depends on, and puts a few rows back in the same transaction. */
  truncation(table: DataTable): LoadTransaction {
    const rows = this.#rows(table);
    rows.clear();
    const inserts = Array.from({ length: 20 }, () => this.#insert(table, rows.add()));
    return { writes: [`TRUNCATE ${table}`, ...inserts], rollback: false };
  }

  #write(): readonly string[] {
    const kind = this.#random.pick(KINDS);
    const table = this.#random.pick(DATA_TABLES);
    switch (kind) {
      case 'insert':
        return [this.#insert(table, this.#rows(table).add())];
      case 'update':
        return [this.#update()];
      case 'delete':
        if (this.#rows(table).count < 5) return [this.#insert(table, this.#rows(table).add())];
        return [`DELETE FROM ${table} WHERE ${rowWhere(table, this.#rows(table).remove(this.#random))}`];
      case 'rekey':
        return [this.#rekey(table)];
      case 'move':
        return [this.#move(table)];
      case 'toast':
        return [this.#touchLongText()];
      case 'reinsert':
        return this.#reinsert(table);
      case 'membership':
        return [this.#membership()];
      case 'nothing':
        return [`UPDATE notes SET title = title WHERE ${rowWhere('notes', this.#rows('notes').any(this.#random))}`];
      case 'person':
        return [this.#person()];
    }
  }

  #rows(table: DataTable): LiveRows {
    const rows = this.#live.get(table);
    if (rows === undefined) throw new Error(`no such table: ${table}`);
    return rows;
  }

  #insert(table: DataTable, n: number): string {
    const values = rowValues(table, String(n), this.#population);
    return `INSERT INTO ${table} (${Object.keys(values).join(', ')}) VALUES (${Object.values(values).join(', ')})`;
  }

  #update(): string {
    const table = this.#random.pick(DATA_TABLES);
    const where = rowWhere(table, this.#rows(table).any(this.#random));
    return `UPDATE ${table} SET ${this.#assignment(table)} WHERE ${where}`;
  }

  #assignment(table: DataTable): string {
    const r = this.#random.int(1_000_000);
    switch (table) {
      case 'notes':
        return r % 2 === 0 ? `body = 'tab\t, line\n, quote '' and " and \\ ${r} ✓'` : `starred = NOT starred`;
      case 'tasks':
        return r % 2 === 0 ? `status = CASE status WHEN 'open' THEN 'done' ELSE 'open' END` : `estimate = ${r}.50`;
      case 'projects':
        return `meta = '{"r": ${r}, "list": [1, null, {"a": "ü"}]}', budget = NULL`;
      case 'events':
        return `payload = '{"r":${r},  "x" : 1.0}', value = ${r / 8}`;
      case 'documents':
        return r % 5 === 0 ? `content = repeat('long ${r} ', 400)` : `title = 'document changed ${r}'`;
      case 'readings':
        return `value = ${r % 3 === 0 ? 'NULL' : r / 4}`;
      case 'settings':
        return `value = '${r}', flags = ARRAY['r${r}', NULL]`;
    }
  }

  /** A primary-key change; for readings only the other part of the key. */
  #rekey(table: DataTable): string {
    const rows = this.#rows(table);
    if (table === 'readings') return this.#move(table);
    const from = rows.remove(this.#random);
    return `UPDATE ${table} SET id = ${rowId(table, String(rows.add()))} WHERE ${rowWhere(table, from)}`;
  }

  /** The row goes to another owner or org, so to other buckets. */
  #move(table: DataTable): string {
    const where = rowWhere(table, this.#rows(table).any(this.#random));
    const byOwner = table === 'notes' || table === 'tasks' || table === 'settings';
    return `UPDATE ${table} SET ${byOwner ? `owner_id = '${this.#user()}'` : `org_id = ${this.#org()}`} WHERE ${where}`;
  }

  /** An update that does not touch the text kept out of line. */
  #touchLongText(): string {
    const where = rowWhere('documents', this.#rows('documents').any(this.#random));
    return `UPDATE documents SET revision = revision + 1 WHERE ${where}`;
  }

  /** The same key goes and comes back in one transaction. */
  #reinsert(table: DataTable): readonly string[] {
    const n = this.#rows(table).any(this.#random);
    return [`DELETE FROM ${table} WHERE ${rowWhere(table, n)}`, this.#insert(table, n)];
  }

  #membership(): string {
    if (this.#random.int(2) === 0) {
      return `INSERT INTO memberships VALUES (${this.#nextMembership++}, '${this.#user()}', ${this.#org()}, 'guest')`;
    }
    const choice =
      this.#random.int(2) === 0 ? 'DELETE FROM memberships' : `UPDATE memberships SET org_id = ${this.#org()}`;
    return `${choice} WHERE id = (SELECT min(id) FROM memberships WHERE user_id = '${this.#user()}')`;
  }

  #person(): string {
    const region = this.#random.pick(["'eu'", "'us'", "'asia'", 'NULL']);
    return `UPDATE users SET region = ${region}, name = name || '.' WHERE id = '${this.#user()}'`;
  }

  /** The users that tests look at come often. */
  #user(): string {
    const among = this.#random.int(2) === 0 ? 5 : this.#population.users;
    return `u${1 + this.#random.int(among)}`;
  }

  #org(): number {
    return 1 + this.#random.int(this.#population.orgs);
  }
}

/** The numbers of a table's live rows. */
class LiveRows {
  readonly #numbers: number[];
  #next: number;

  constructor(seeded: number, next: number) {
    this.#numbers = Array.from({ length: seeded }, (_, index) => index + 1);
    this.#next = next;
  }

  get count(): number {
    return this.#numbers.length;
  }

  add(): number {
    this.#numbers.push(this.#next);
    return this.#next++;
  }

  clear(): void {
    this.#numbers.length = 0;
  }

  any(random: SeededRandom): number {
    return random.pick(this.#numbers);
  }

  remove(random: SeededRandom): number {
    const index = random.int(this.#numbers.length);
    const number = this.#numbers[index];
    const last = this.#numbers.pop();
    if (number === undefined || last === undefined) throw new Error('load: a table ran empty');
    if (index < this.#numbers.length) this.#numbers[index] = last;
    return number;
  }
}

/**
 * A source database that remembers every state it was ever in: small tables, numbered commits, and the events that
 * logical replication would send for them. The oracle asks it for the state at a position.
 */
import type { Position, Random, RawRow, Relation, StreamEvent } from '@sluice/core';

export type TableRows = ReadonlyMap<string, RawRow>;
export type DatabaseState = ReadonlyMap<string, TableRows>;

interface LogEntry {
  readonly at: number;
  readonly events: readonly StreamEvent[];
}

const COLUMNS = ['id', 'owner', 'large'];
const OWNERS = ['ann', 'bob', 'cy'];

export function positionOf(at: number): Position {
  return at.toString(16).toUpperCase().padStart(16, '0');
}

export class SimulatedDatabase {
  readonly #random: Random;
  readonly relations = new Map<string, Relation>();
  readonly log: LogEntry[] = [];
  readonly #states: { at: number; state: DatabaseState }[] = [];
  #state: Map<string, Map<string, RawRow>>;
  #at = 1;
  /** Highest position that the consumer said is durable: where a restart resumes. */
  confirmed = 0;

  constructor(random: Random, tables: readonly string[]) {
    this.#random = random;
    this.#state = new Map(tables.map((name) => [name, new Map()]));
    for (const [index, name] of tables.entries()) this.relations.set(name, relationOf(name, String(100 + index)));
    for (const name of tables) for (let n = 0; n < this.#upTo(12); n++) this.#set(name, this.#newKey());
    this.#remember();
  }

  get head(): number {
    return this.#at;
  }

  state(): DatabaseState {
    return this.#state;
  }

  stateAt(position: Position): DatabaseState {
    const found = this.#states.findLast((entry) => positionOf(entry.at) <= position);
    if (found === undefined) throw new Error(`no state at ${position}`);
    return found.state;
  }

  /** A position in the log that changes nothing, as a logical message does. */
  marker(): void {
    this.#at += 1 + this.#upTo(3);
    this.log.push({ at: this.#at, events: [{ kind: 'heartbeat', position: positionOf(this.#at) }] });
  }

  /** One random transaction of one to five changes. */
  commit(): void {
    const boundary = positionOf(this.#at + 1);
    const changes: StreamEvent[] = [];
    for (let n = 0; n <= this.#upTo(4); n++) changes.push(...this.#change());
    this.#at += 1 + this.#upTo(3);
    const position = positionOf(this.#at);
    const commit = { kind: 'commit', position, committedAtMs: 0 } as const;
    this.log.push({ at: this.#at, events: [{ kind: 'begin', boundary, committedAtMs: 0 }, ...changes, commit] });
    this.#remember();
  }

  #change(): StreamEvent[] {
    const names = [...this.relations.keys()];
    const name = names[this.#upTo(names.length)] as string;
    const rows = this.#state.get(name) as Map<string, RawRow>;
    const relation = this.relations.get(name) as Relation;
    const keys = [...rows.keys()];
    const key = keys[this.#upTo(keys.length)];
    const dice = this.#random();
    if (key === undefined || dice < 0.25) {
      const row = this.#set(name, this.#newKey());
      return [{ kind: rows.size > keys.length ? 'insert' : 'update', relation, row, before: null }];
    }
    if (dice < 0.45) {
      rows.delete(key);
      return [{ kind: 'delete', relation, before: [key, undefined, undefined] }];
    }
    if (dice < 0.48) {
      rows.clear();
      return [{ kind: 'truncate', relations: [relation] }];
    }
    return [this.#update(rows, relation, key)];
  }

  /** Large values are often unchanged, and then not sent; sometimes the key changes. */
  #update(rows: Map<string, RawRow>, relation: Relation, key: string): StreamEvent {
    const old = rows.get(key) as RawRow;
    const keepsLarge = this.#random() < 0.6;
    const target = this.#random() < 0.3 ? this.#newKey() : key;
    const moves = target !== key && !rows.has(target);
    const newKey = moves ? target : key;
    const row: RawRow = [newKey, this.#owner(), keepsLarge ? old[2] : this.#large()];
    rows.delete(key);
    rows.set(newKey, row);
    const sent: RawRow = keepsLarge ? [newKey, row[1], undefined] : row;
    return { kind: 'update', relation, row: sent, before: moves ? [key, undefined, undefined] : null };
  }

  #set(name: string, key: string): RawRow {
    const row: RawRow = [key, this.#owner(), this.#large()];
    (this.#state.get(name) as Map<string, RawRow>).set(key, row);
    return row;
  }

  #newKey(): string {
    return String(10 + this.#upTo(30));
  }

  #owner(): string | null {
    return this.#random() < 0.1 ? null : (OWNERS[this.#upTo(OWNERS.length)] as string);
  }

  #large(): string {
    return `L${this.#upTo(1000)}`;
  }

  #upTo(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #remember(): void {
    const copy = new Map([...this.#state].map(([name, rows]) => [name, new Map(rows)]));
    this.#states.push({ at: this.#at, state: copy });
  }
}

function relationOf(name: string, sourceId: string): Relation {
  return {
    sourceId,
    connectionTag: 'default',
    schema: 'public',
    name,
    replicaIdentity: 'default',
    columns: COLUMNS.map((column, i) => ({ name: column, type: 'text', typeId: 25, typeModifier: -1, key: i === 0 })),
  };
}

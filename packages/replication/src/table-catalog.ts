/**
 * The tables of one stream: which stored incarnation a relation belongs to, new ones registered, incompatible ones
 * ended. State is in storage; this class caches bindings per relation object and is the only one to add tables.
 */
import { type Logger, type Position, type Relation, SluiceError } from '@sluice/core';
import type { StreamReader, StreamWriter, TableState } from '@sluice/storage';
import type { SyncRules } from '@sluice/sync-rules';
import type { ChangeSource, DiscoveredTable } from './change-source.ts';
import { erase } from './evaluate.ts';
import { compatibility, type TableBinding } from './table-binding.ts';

const ERASE_LIMIT = 2000;

interface CatalogPorts {
  readonly rules: SyncRules;
  readonly source: ChangeSource;
  readonly reader: StreamReader;
  readonly writer: StreamWriter;
  readonly logger: Logger;
}

export class TableCatalog {
  readonly #ports: CatalogPorts;
  readonly #bindings = new WeakMap<Relation, TableBinding | null>();
  #turn: Promise<void> = Promise.resolve();
  #rowErrors = 0;
  #problems: readonly TableProblem[] = [];

  constructor(ports: CatalogPorts) {
    this.#ports = ports;
  }

  get rowErrors(): number {
    return this.#rowErrors;
  }

  /** Tables that the rules name and that cannot be replicated, as of the last discovery. */
  get problems(): readonly TableProblem[] {
    return this.#problems;
  }

  /** The binding of a relation that was resolved before; undefined if it was not, null if the rules do not read it. */
  known(relation: Relation): TableBinding | null | undefined {
    return this.#bindings.get(relation);
  }

  /** Finds all tables that the rules read, registers new ones and ends those that are gone. Before the first read. */
  discover(boundary: Position): Promise<void> {
    return this.#exclusively(() => this.#discover(boundary));
  }

  async #discover(boundary: Position): Promise<void> {
    const { rules, source, reader, logger } = this.#ports;
    const found = await source.discover(rules.tablePatterns);
    this.#problems = [...missingTables(rules, found), ...found.flatMap(problemOf)];
    for (const problem of this.#problems) logger.warn({ ...problem }, 'a table of the sync rules is not replicated');
    const usable = found.filter((table) => table.problem === null);
    for (const table of usable) await this.#register(table, boundary);
    const ids = new Set(found.map((table) => table.relation.sourceId));
    for (const stored of await reader.tables()) {
      if (!ids.has(stored.relation.sourceId)) await this.#end(stored, boundary);
    }
  }

  /**
   * Resolves a relation that the stream met for the first time.
   * @returns the binding (null if the rules do not read it), and whether a table has to be copied because of it
   */
  resolve(relation: Relation, boundary: Position): Promise<Resolved> {
    return this.#exclusively(() => this.#resolve(relation, boundary));
  }

  async #resolve(relation: Relation, boundary: Position): Promise<Resolved> {
    const known = this.#bindings.get(relation);
    if (known !== undefined) return { binding: known, added: false };
    const { rules, source, reader } = this.#ports;
    if (rules.compileTable(relation) === null) {
      // It may have had a name that the rules read.
      const renamed = (await reader.tables()).find((table) => table.relation.sourceId === relation.sourceId);
      if (renamed !== undefined) await this.#end(renamed, boundary);
      this.#bindings.set(relation, null);
      return { binding: null, added: false };
    }
    const stored = (await reader.tables()).find((table) => compatibility(table, relation) === 'same');
    if (stored !== undefined) return { binding: this.#bind(relation, stored), added: false };
    const { connectionTag, schema, name } = relation;
    const [table] = await source.discover([{ connectionTag, schema, name, wildcard: false }]);
    if (table === undefined || table.problem !== null) {
      this.#problems = [...this.#problems, ...(table === undefined ? [] : problemOf(table))];
      this.#bindings.set(relation, null);
      return { binding: null, added: false };
    }
    const added = await this.#register(table, boundary);
    return { binding: this.#bind(relation, added.table), added: added.isNew };
  }

  /** Discovery and the stream may meet the same new table at once: only one of them may add it. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  /** A binding for rows read by the snapshotter: those come in the columns of the stored relation. */
  bindingFor(table: TableState): TableBinding {
    const known = this.#bindings.get(table.relation);
    if (known?.table.generation === table.generation) return known;
    const binding = this.#bind(table.relation, table);
    if (binding === null)
      throw new SluiceError('SLU_X0001', `no rule reads table ${table.relation.schema}.${table.relation.name}`);
    return binding;
  }

  async #register(table: DiscoveredTable, boundary: Position): Promise<{ table: TableState; isNew: boolean }> {
    const { reader, writer, logger } = this.#ports;
    const { sourceId, schema, name } = table.relation;
    for (const stored of await reader.tables()) {
      const sameName = stored.relation.schema === schema && stored.relation.name === name;
      if (!sameName && stored.relation.sourceId !== sourceId) continue;
      if (compatibility(stored, table.relation) === 'same' && sameKey(stored, table))
        return { table: stored, isNew: false };
      await this.#end(stored, boundary);
    }
    const added = await writer.addTable(table.relation, table.keyColumns);
    logger.info({ table: `${schema}.${name}`, id: added.id }, 'table added; it will be copied');
    return { table: added, isNew: true };
  }

  async #end(stored: TableState, boundary: Position): Promise<void> {
    const { writer, logger } = this.#ports;
    const table = `${stored.relation.schema}.${stored.relation.name}`;
    logger.info({ table, id: stored.id }, 'table ended; its rows are removed');
    await eraseTable(writer, stored, boundary);
    await writer.removeTable(stored.id);
  }

  #bind(relation: Relation, table: TableState): TableBinding | null {
    const evaluator = this.#ports.rules.compileTable(relation);
    const binding: TableBinding | null =
      evaluator === null
        ? null
        : {
            table,
            keyColumns: table.keyColumns,
            evaluator,
            reportRowError: (definition, message) => this.#reportRowError(table, definition, message),
          };
    this.#bindings.set(relation, binding);
    return binding;
  }

  #reportRowError(table: TableState, definition: string, message: string): void {
    this.#rowErrors++;
    if (this.#rowErrors > 100) return;
    const { schema, name } = table.relation;
    this.#ports.logger.warn(
      { table: `${schema}.${name}`, definition, reason: message },
      'a row could not be evaluated',
    );
  }
}

interface Resolved {
  readonly binding: TableBinding | null;
  /** Whether a table has to be copied because of it. */
  readonly added: boolean;
}

export interface TableProblem {
  readonly table: string;
  readonly code: string;
  readonly message: string;
}

/** Removes every live row of a table, in bounded transactions. */
export async function eraseTable(writer: StreamWriter, table: TableState, boundary: Position): Promise<void> {
  const request = {
    tableId: table.id,
    boundary,
    limit: ERASE_LIMIT,
    erase: (state: TableState, key: string, record: Uint8Array) => erase(state.id, key, record),
  };
  while ((await writer.eraseRows(request)).remaining);
}

function sameKey(stored: TableState, table: DiscoveredTable): boolean {
  return stored.keyColumns.join() === table.keyColumns.join();
}

function problemOf(table: DiscoveredTable): TableProblem[] {
  if (table.problem === null) return [];
  return [{ table: `${table.relation.schema}.${table.relation.name}`, ...table.problem }];
}

function missingTables(rules: SyncRules, found: readonly DiscoveredTable[]): TableProblem[] {
  return rules.tablePatterns
    .filter((pattern) => !pattern.wildcard)
    .filter((p) => !found.some((table) => table.relation.schema === p.schema && table.relation.name === p.name))
    .map((pattern) => ({
      table: `${pattern.schema}.${pattern.name}`,
      code: 'SLU_R1104',
      message: 'the table is not in the source, or the role cannot see it',
    }));
}

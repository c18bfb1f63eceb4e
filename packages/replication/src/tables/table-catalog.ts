/**
 * The tables of one stream: which stored incarnation a relation belongs to, new ones registered, those that are gone or
 * incompatible ended. Told by the stream (a relation it has not met) and by the source's catalogue, which is compared
 * every few seconds: a table that was dropped, renamed, unpublished or published may never say so in the stream. State is
 * in storage; this class caches bindings per relation object (the source describes a table anew whenever what it sends of it
 * may have changed) and is the only one to add and to end tables.
 *
 * The catalogue runs ahead of the stream. A table that is gone from it ends behind the head at which that was seen. The
 * history of a table that was found begins at the head of then: what the stream brings from before may have gaps, or may
 * be in another structure, and its outcome is in the copy, which waits until all of it can be seen (`isReadable`).
 */
import { BEFORE_ALL, Latest, type Logger, type Position, type Relation, type TableId } from '@sluice/core';
import type { StreamReader, StreamWriter, TableState } from '@sluice/storage';
import type { SyncRules } from '@sluice/sync-rules';
import type { ChangeSource, DiscoveredTable } from '../change-source.ts';
import { erase } from '../rows/evaluate.ts';
import { RowErrors } from './row-errors.ts';
import { canBeRead, foundAs, goesOn, hasLostNameTo, isKept } from './stored-and-found.ts';
import { bindTable, compatibility, isKnownAsFound, isWider, type TableBinding, unread } from './table-binding.ts';
import { missingTables, problemOf, type TableProblem } from './table-problems.ts';

const ERASE_LIMIT = 2000;

interface CatalogPorts {
  readonly rules: SyncRules;
  readonly source: ChangeSource;
  readonly reader: StreamReader;
  readonly writer: StreamWriter;
  readonly logger: Logger;
  /** Called when a table was added or ended. */
  readonly onChange: () => void;
}

/** The heads of the source before its catalogue was asked, and after. */
interface LookHeads {
  readonly before: Position;
  readonly head: Position;
}

/** What the catalogue said. */
interface Look extends LookHeads {
  readonly found: readonly DiscoveredTable[];
}

export class TableCatalog {
  readonly #ports: CatalogPorts;
  #bindings = new WeakMap<Relation, TableBinding | null>();
  /** Relations whose rows up to a position are in a copy; what they stand for behind it is still to be found out. */
  #passedOver = new WeakMap<Relation, Position>();
  /** Up to where a table is known to have been published as it was when it was found. */
  readonly #confirmed = new Map<TableId, Position>();
  /** The table that a relation was found to be, published as it was: what is published anew is described anew. */
  readonly #verified = new WeakMap<Relation, TableId>();
  readonly #ended = new Set<TableId>();
  readonly #ending = new Set<TableId>();
  /** Tables that are stored, as far as it was answered: of others there is no telling whether they are newcomers. */
  readonly #takenIn = new Set<TableId>();
  /** Tables whose past may not be visible to reads yet. */
  readonly #newcomers = new Set<TableId>();
  readonly #additions = new Latest(0);
  #turn: Promise<void> = Promise.resolve();
  readonly #rowErrors: RowErrors;
  #problems: readonly TableProblem[] = [];

  constructor(ports: CatalogPorts) {
    this.#ports = ports;
    this.#rowErrors = new RowErrors(ports.logger);
  }

  get rowErrors(): number {
    return this.#rowErrors.count;
  }

  /** Tables that the rules name and that cannot be replicated, as of the last discovery. */
  get problems(): readonly TableProblem[] {
    return this.#problems;
  }

  /**
   * The binding of a relation that was resolved before; undefined if it was not, or not for a transaction as late as
   * that of `boundary`; null if its rows are not to be written.
   */
  known(relation: Relation, boundary: Position): TableBinding | null | undefined {
    const binding = this.#bindings.get(relation);
    if (binding !== undefined) return binding;
    const until = this.#passedOver.get(relation);
    return until !== undefined && boundary <= until ? null : undefined;
  }

  /** Whether the table ended since this attempt began: nothing may be written to it any more. */
  isEnded(tableId: TableId): boolean {
    return this.#ended.has(tableId);
  }

  /** Whether the end of the table has begun: nothing may be planned or copied of it any more. */
  isEnding(tableId: TableId): boolean {
    return this.#ending.has(tableId);
  }

  /** Whether reads can see everything that happened to the table before it was found. */
  isReadable(tableId: TableId): boolean {
    return this.#takenIn.has(tableId) && !this.#newcomers.has(tableId);
  }

  /** Makes newcomers readable. Runs until aborted; ends early only by throwing. */
  async settleNewcomers(signal: AbortSignal): Promise<never> {
    for (;;) {
      const version = this.#additions.version;
      const unsettled = [...this.#newcomers];
      if (unsettled.length > 0) {
        await this.#ports.source.settle(signal);
        for (const id of unsettled) this.#newcomers.delete(id);
        this.#ports.onChange();
      }
      await this.#additions.changed(version, signal);
    }
  }

  /**
   * Finds all tables that the rules read. Before the first read, and then every few seconds. It may take long, where tables
   * are locked, and the stream does not wait for it.
   */
  async look(): Promise<Look> {
    const { rules, source } = this.#ports;
    const before = await source.head();
    const found = await source.discover(rules.tablePatterns);
    return { before, found, head: await source.head() };
  }

  /**
   * Registers tables that are new and ends those that are gone. If it fails, nobody knows what has been stored: the attempt
   * has to end.
   */
  async takeIn(look: Look): Promise<void> {
    const { found } = look;
    this.#report([...missingTables(this.#ports.rules, found), ...found.flatMap(problemOf)]);
    await this.#exclusively(() => this.#compare(look));
  }

  /** What was stored since the look began is newer than the look. */
  async #compare(look: Look): Promise<void> {
    const { before, found, head } = look;
    const { reader } = this.#ports;
    const isNewer = ({ relation }: TableState) => relation.found !== undefined && relation.found.at >= before;
    const newer = new Set((await reader.tables()).filter(isNewer).map(({ relation }) => relation.sourceId));
    for (const table of found) {
      if (table.problem === null && !newer.has(table.relation.sourceId)) await this.#register(table, look);
    }
    const bySource = new Map(found.map((table) => [table.relation.sourceId, table]));
    for (const stored of await reader.tables()) {
      this.#takenIn.add(stored.id);
      if (isNewer(stored)) continue;
      const now = bySource.get(stored.relation.sourceId);
      if (now === undefined || !isKept(stored, now)) {
        await this.#end(stored, head);
        continue;
      }
      this.#confirmed.set(stored.id, before);
      if (canBeRead(now) && isWider(now.relation, stored)) await this.#readAgain(stored, now, head);
    }
  }

  /**
   * Looks whether a table is still the one that was found, and published as it was then. If not, what has been read of it since
   * has no stream to go with: it ends, and what is there now is taken in.
   */
  async confirm(table: TableState): Promise<boolean> {
    const { reader } = this.#ports;
    const { named, ...heads } = await this.#lookFor(table.relation);
    return this.#exclusively(async () => {
      const stored = (await reader.tables()).find(({ id }) => id === table.id);
      if (stored?.generation !== table.generation || this.isEnding(table.id)) return false;
      if (named !== null && isKept(stored, named)) {
        this.#confirmed.set(stored.id, heads.before);
        return true;
      }
      if (named?.problem === null) await this.#register(named, heads);
      else await this.#end(stored, heads.head);
      return false;
    });
  }

  /** The table that has the name now, if it is still the one that had it. */
  async #lookFor({
    connectionTag,
    schema,
    name,
    sourceId,
  }: Relation): Promise<LookHeads & { named: DiscoveredTable | null }> {
    const { source } = this.#ports;
    const before = await source.head();
    const [named] = await source.discover([{ connectionTag, schema, name, wildcard: false }]);
    const head = await source.head();
    return { before, named: named?.relation.sourceId === sourceId ? named : null, head };
  }

  #report(problems: readonly TableProblem[]): void {
    const known = new Set(this.#problems.map((problem) => `${problem.table} ${problem.code}`));
    this.#problems = problems;
    for (const problem of problems) {
      if (known.has(`${problem.table} ${problem.code}`)) continue;
      this.#ports.logger.warn({ ...problem }, 'a table of the sync rules is not replicated');
    }
  }

  /**
   * Resolves a relation that the stream met for the first time, in the transaction of `boundary`.
   * @returns null if its rows are not to be written
   */
  resolve(relation: Relation, boundary: Position): Promise<TableBinding | null> {
    return this.#exclusively(async () => {
      const known = this.known(relation, boundary);
      if (known !== undefined) return known;
      this.#passedOver.delete(relation);
      const binding = await this.#resolve(relation, boundary);
      if (!this.#passedOver.has(relation)) this.#bindings.set(relation, binding);
      return binding;
    });
  }

  async #resolve(relation: Relation, boundary: Position): Promise<TableBinding | null> {
    const { rules, reader } = this.#ports;
    const tables = await reader.tables();
    const stored = tables.find((table) => table.relation.sourceId === relation.sourceId);
    const isSame = stored !== undefined && compatibility(stored, relation) === 'same';
    if (isSame && !isWider(relation, stored) && this.#isConfirmed(relation, stored, boundary))
      return this.#bind(relation, stored);
    if (stored?.relation.found !== undefined && boundary <= stored.relation.found.at)
      return this.#passOver(relation, stored);
    if (rules.compileTable(relation) === null) {
      // It may have had a name that the rules read.
      if (stored !== undefined) await this.#end(stored, boundary);
      return null;
    }
    // Another table that has the name by now is met under a relation of its own.
    const { named, ...heads } = await this.#lookFor(relation);
    if (isSame && named !== null && isKept(stored, named)) {
      this.#confirmed.set(stored.id, heads.before);
      if (!isWider(relation, stored) || !canBeRead(named)) return this.#bind(relation, stored);
      // Columns were added, or came and went: some rows do not have them, others have what is gone.
      return this.#bindOrPassOver(relation, await this.#readAgain(stored, named, heads.head));
    }
    if (named === null || named.problem !== null) {
      // Its rows are not written from here on, so what was stored of it would be neither what it was nor what it is. It may
      // have been taken out of the publication and put back before it went.
      if (stored !== undefined) await this.#end(stored, isSame ? heads.head : boundary);
      for (const other of tables) if (hasLostNameTo(relation, boundary, other)) await this.#end(other, boundary);
      return null;
    }
    // A table that was found before, and is as it was then, has been something else in between.
    const registered = await this.#register(named, heads, isSame ? undefined : stored);
    return this.#bindOrPassOver(relation, registered);
  }

  #bindOrPassOver(relation: Relation, table: TableState): TableBinding | null {
    const isIt = compatibility(table, relation) === 'same' && !isWider(relation, table);
    return isIt ? this.#bind(relation, table) : this.#passOver(relation, table);
  }

  /**
   * Whether no change of the table has been left out before the transaction of `boundary`. A table that was taken out of the
   * publication and put back streams again, and what it was missing in between is not in the stream.
   */
  #isConfirmed(relation: Relation, stored: TableState, boundary: Position): boolean {
    return this.#verified.get(relation) === stored.id || isKnownAsFound(this.#confirmed.get(stored.id), boundary);
  }

  /** The catalogue may have changed between the look and its head: then the relation stands for what comes behind. */
  #passOver(relation: Relation, { relation: { found } }: TableState): null {
    if (found !== undefined) this.#passedOver.set(relation, found.at);
    return null;
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
    return this.#bind(table.relation, table) ?? unread(table);
  }

  /** Empties a table, unless it ended meanwhile, or was found anew and is copied as it is behind that. */
  truncate({ table }: TableBinding, boundary: Position): Promise<void> {
    return this.#exclusively(async () => {
      const now = (await this.#ports.reader.tables()).find(({ id }) => id === table.id);
      const foundAt = now?.relation.found?.at ?? BEFORE_ALL;
      if (now !== undefined && !this.isEnded(table.id) && boundary > foundAt) await this.#erase(table, boundary);
    });
  }

  /** @param replaced a stored table to be ended even if the one found is the same */
  async #register(table: DiscoveredTable, look: LookHeads, replaced?: TableState): Promise<TableState> {
    const { before, head } = look;
    const { reader, writer, logger } = this.#ports;
    const { sourceId, schema, name } = table.relation;
    let takesPlace = false;
    for (const stored of await reader.tables()) {
      const sameName = stored.relation.schema === schema && stored.relation.name === name;
      if (!sameName && stored.relation.sourceId !== sourceId) continue;
      if (goesOn(stored, table) && isWider(table.relation, stored)) return this.#readAgain(stored, table, head);
      if (stored.id !== replaced?.id && goesOn(stored, table)) return stored;
      takesPlace ||= stored.visibility !== 'staged';
      await this.#end(stored, head);
    }
    // Clients must not see an empty table in place of the one they had.
    const added = await writer.addTable(foundAs(table, head), table.keyColumns, takesPlace ? 'shown' : 'staged');
    logger.info({ table: `${schema}.${name}`, id: added.id, visibility: added.visibility }, 'table added to be copied');
    this.#confirmed.set(added.id, before);
    this.#settle(added.id);
    return added;
  }

  /** Rows that are stored lack columns that were added, or have some that are gone, and the source does not send them again. */
  async #readAgain(stored: TableState, table: DiscoveredTable, head: Position): Promise<TableState> {
    const { writer, logger } = this.#ports;
    // Before it is stored: from then on it is planned as soon as it can be read.
    this.#settle(stored.id);
    const again = await writer.markTableSnapshotRequired(stored.id, foundAs(table, head));
    const { schema, name } = table.relation;
    logger.info({ table: `${schema}.${name}`, id: again.id }, 'columns of a table changed; its rows are read again');
    this.#changed();
    return again;
  }

  #settle(tableId: TableId): void {
    this.#newcomers.add(tableId);
    this.#takenIn.add(tableId);
    this.#additions.set(this.#additions.value + 1);
    this.#changed();
  }

  async #end(stored: TableState, boundary: Position): Promise<void> {
    const { writer, logger } = this.#ports;
    const table = `${stored.relation.schema}.${stored.relation.name}`;
    logger.info({ table, id: stored.id }, 'table ended; its rows are removed');
    // Before its tasks go: others copy what is planned, and rows that are stored behind its end would stay.
    this.#ending.add(stored.id);
    // Closes the snapshot gate: the stream may be behind the boundary already, and no part may be shown without the rest.
    await writer.markTableSnapshotRequired(stored.id);
    // Not before: until the gate is closed, a checkpoint must have the table's rows.
    this.#ended.add(stored.id);
    await this.#erase(stored, boundary);
    await writer.removeTable(stored.id);
    this.#changed();
  }

  /** Removes every live row of a table, in bounded transactions. */
  async #erase(table: TableState, boundary: Position): Promise<void> {
    const request = {
      tableId: table.id,
      boundary,
      limit: ERASE_LIMIT,
      erase: (state: TableState, key: string, record: Uint8Array) => erase(state.id, key, record),
    };
    while ((await this.#ports.writer.eraseRows(request)).remaining);
  }

  /** What relations were resolved to may be something else now: also those that the rules were found not to read. */
  #changed(): void {
    this.#bindings = new WeakMap();
    this.#passedOver = new WeakMap();
    this.#ports.onChange();
  }

  #bind(relation: Relation, table: TableState): TableBinding | null {
    const binding = bindTable(this.#ports.rules, { table, relation, rowErrors: this.#rowErrors });
    this.#bindings.set(relation, binding);
    this.#verified.set(relation, table.id);
    return binding;
  }
}

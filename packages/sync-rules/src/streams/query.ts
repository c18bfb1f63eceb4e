/** One query of a stream, read and checked: which table it syncs, which columns, under which alternatives. */
import { warnUnquoted } from '../bucket-definitions/query-source.ts';
import { inputsOf, type Plan } from '../expression/plan.ts';
import type { CompileContext } from '../definition.ts';
import type { SqlScalar } from '../document.ts';
import { Reporter } from '../reporter.ts';
import type { Range, SelectItem, SelectStatement } from '../sql/ast.ts';
import type { CommonTables } from './common-tables.ts';
import { type Condition, type Conjunction, normalForm, TERMS_MAX } from './condition.ts';
import type { SourceId, StreamInput } from './input.ts';
import type { QueryColumn } from './names.ts';
import { SelectReader } from './select-reader.ts';
import type { Relation } from './scope.ts';
import { Sources } from './sources.ts';
import { statementOf } from './statement.ts';

export type OutputItem =
  | { readonly kind: 'star' }
  | { readonly kind: 'value'; readonly name: string; readonly plan: Plan<StreamInput> };

export interface StreamQuery {
  readonly sources: Sources;
  /** The table whose rows are synced. */
  readonly primary: SourceId;
  readonly items: readonly OutputItem[];
  readonly firstOutputAt: Range;
  /** Whether tables whose name has a wildcard have a column `_table_suffix`: in edition 2. */
  readonly hasTableSuffix: boolean;
  /** Sources of every alternative. */
  readonly joined: readonly SourceId[];
  readonly alternatives: readonly Conjunction[];
}

/** Null if it cannot be used; everything wrong has been reported then. */
export function readQuery(scalar: SqlScalar, commonTables: CommonTables, compile: CompileContext): StreamQuery | null {
  const reporter = new Reporter(scalar, compile.diagnostics);
  const select = statementOf(reporter);
  if (select === null) return null;
  const sources = new Sources();
  const reader = new SelectReader(select, { compile, scalar, reporter, commonTables, sources }, null);
  if (select.extraClauses.length > 0) return null;
  const outputs = new OutputReader(reader, { compile, scalar, reporter });
  for (const item of select.items) outputs.read(item);
  const { primary, items } = outputs;
  if (primary === null && !reader.scope.hasBroken) reporter.add('no-primary-table', select);
  const alternatives = readAlternatives(reader, select, { compile, scalar, reporter });
  if (primary === null || alternatives === null) return null;
  return {
    sources,
    primary,
    items,
    firstOutputAt: scalar.toDocument(select.items[0] ?? select),
    hasTableSuffix: compile.compatibility.edition < 3,
    joined: reader.joined,
    alternatives,
  };
}

interface QueryText {
  readonly compile: CompileContext;
  readonly scalar: SqlScalar;
  readonly reporter: Reporter;
}

function readAlternatives(
  reader: SelectReader,
  select: SelectStatement,
  { compile, reporter }: QueryText,
): readonly Conjunction[] | null {
  if (reader.conditions.length === 0) return [[]];
  const all: Condition = { kind: 'and', operands: reader.conditions };
  const form = normalForm(all, reader.sources);
  if (form.ok) return checked(form.alternatives, reader.sources, compile);
  if (form.problem === 'negated-join') reportNegation(form, compile);
  else reporter.add('too-many-terms', select.where ?? select, `the most is ${TERMS_MAX}`);
  return null;
}

function reportNegation(
  { at, conflict }: { readonly at: Range; readonly conflict: Range },
  { diagnostics, compatibility }: CompileContext,
): void {
  if (compatibility.edition === 3) diagnostics.add('mixed-sources', conflict);
  else diagnostics.add('negated-parameter', at);
}

/** Every term depends on one thing, or says that two things are equal. */
function checked(
  alternatives: readonly Conjunction[],
  sources: Sources,
  { diagnostics }: CompileContext,
): readonly Conjunction[] | null {
  let usable = true;
  for (const part of alternatives.flat()) {
    if (part.kind === 'join') continue;
    const sides = part.equality === null ? [part.plan] : [part.equality.left, part.equality.right];
    const conflict = sides.map((side) => sources.conflictIn(side)).find((input) => input !== null);
    if (conflict === undefined || conflict === null) continue;
    diagnostics.add('mixed-sources', conflict.at);
    usable = false;
  }
  return usable ? alternatives : null;
}

class OutputReader {
  readonly #reader: SelectReader;
  readonly #text: QueryText;
  readonly #items: OutputItem[] = [];
  #primary: SourceId | null = null;

  constructor(reader: SelectReader, text: QueryText) {
    this.#reader = reader;
    this.#text = text;
  }

  get primary(): SourceId | null {
    return this.#primary;
  }

  get items(): readonly OutputItem[] {
    return this.#items;
  }

  read(item: SelectItem): void {
    if (item.kind === 'star') {
      this.#star(item);
      return;
    }
    const { expression, alias } = item;
    const plan = this.#reader.plan(expression);
    const bare = expression.kind === 'column' ? expression.column.name : null;
    const { compile, reporter, scalar } = this.#text;
    if (alias !== null && compile.compatibility.edition < 3) warnUnquoted(alias, reporter);
    if (alias === null && bare === null && plan !== null) reporter.add('inferred-name', item);
    this.#value({ name: alias?.name ?? bare ?? scalar.sql.slice(item.start, item.end), plan });
  }

  #star(item: Extract<SelectItem, { kind: 'star' }>): void {
    const { scope } = this.#reader;
    const named = item.table === null ? undefined : scope.own(item.table.name);
    if (item.table !== null && (named === undefined || item.schema !== null)) {
      this.#text.reporter.add('unknown-table-name', item, item.table.name);
      return;
    }
    if (this.#items.some((earlier) => this.#isRenamed(earlier))) this.#text.reporter.add('star-overwrites', item);
    for (const relation of named === undefined ? scope.relations : [named]) this.#starOf(relation, item);
  }

  #starOf(relation: Relation, item: Range): void {
    const columns = this.#reader.names.columnsOf(relation, item);
    if (columns === null && relation.kind === 'table') {
      if (this.#claim(relation.source, this.#reader.toDocument(item))) this.#items.push({ kind: 'star' });
    } else for (const column of columns ?? []) this.#value(column);
  }

  /** Whether a star behind it could replace its value by another. */
  #isRenamed(item: OutputItem): boolean {
    if (item.kind === 'star') return false;
    const { plan, name } = item;
    return plan.op !== 'input' || plan.input.kind !== 'column' || plan.input.name !== name;
  }

  #value({ name, plan }: QueryColumn): void {
    if (plan === null) return;
    let usable = true;
    for (const input of inputsOf(plan)) usable = this.#claimInput(input) && usable;
    if (usable) this.#items.push({ kind: 'value', name, plan });
  }

  #claimInput(input: StreamInput): boolean {
    if (input.kind === 'column') return this.#claim(input.source, input.at);
    const { diagnostics } = this.#text.compile;
    diagnostics.add(input.kind === 'request' ? 'request-in-select' : 'not-a-table-column', input.at);
    return false;
  }

  #claim(source: SourceId, at: Range): boolean {
    this.#primary ??= source;
    if (this.#primary === source) return true;
    this.#text.compile.diagnostics.add('second-table-selected', at);
    return false;
  }
}

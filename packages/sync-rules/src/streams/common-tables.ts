/** Common table expressions of a stream: those of its own `with`, then those of the document. */
import type { CompileContext } from '../definition.ts';
import type { CteSource, SqlScalar } from '../document.ts';
import { Reporter } from '../reporter.ts';
import type { SelectStatement } from '../sql/ast.ts';
import { statementOf } from './statement.ts';

export interface CommonTable {
  readonly source: CteSource;
  readonly scalar: SqlScalar;
  readonly reporter: Reporter;
  readonly select: SelectStatement;
}

interface Entry {
  readonly source: CteSource;
  /** Null if it is no usable SELECT, which has been reported. */
  readonly table: CommonTable | null;
  used: boolean;
}

export class CommonTables {
  readonly #outer: CommonTables | null;
  readonly #entries = new Map<string, Entry>();

  constructor(sources: readonly CteSource[], compile: CompileContext, outer: CommonTables | null) {
    this.#outer = outer;
    for (const source of sources) {
      this.#entries.set(source.name.toLowerCase(), { source, table: commonTable(source, compile), used: false });
    }
  }

  /** Undefined if there is none of this name; null if it is wrong. */
  use(name: string): CommonTable | null | undefined {
    const entry = this.#entries.get(name.toLowerCase());
    if (entry === undefined) return this.#outer?.use(name);
    entry.used = true;
    return entry.table;
  }

  /** Own ones, in order. */
  get own(): readonly { readonly source: CteSource; readonly table: CommonTable | null; readonly used: boolean }[] {
    return [...this.#entries.values()];
  }
}

function commonTable(source: CteSource, compile: CompileContext): CommonTable | null {
  const reporter = new Reporter(source.sql, compile.diagnostics);
  const select = statementOf(reporter);
  return select === null ? null : { source, scalar: source.sql, reporter, select };
}

/** Reports about one SQL scalar, in offsets of its own text. */
import type { DiagnosticCode, DiagnosticDetails, Diagnostics } from './diagnostics.ts';
import type { SqlScalar } from './document.ts';
import type { Range, Statement } from './sql/ast.ts';
import { parseSql } from './sql/parser.ts';

export class Reporter {
  readonly #scalar: SqlScalar;
  readonly #diagnostics: Diagnostics;

  constructor(scalar: SqlScalar, diagnostics: Diagnostics) {
    this.#scalar = scalar;
    this.#diagnostics = diagnostics;
  }

  /** At a range of the SQL text. */
  add(code: DiagnosticCode, range: Range, subject = '', details: DiagnosticDetails = {}): void {
    this.#diagnostics.add(code, this.#scalar.toDocument(range), subject, details);
  }

  /** About the whole text. */
  addWhole(code: DiagnosticCode, subject = '', details: DiagnosticDetails = {}): void {
    this.#diagnostics.add(code, this.#scalar.range, subject, details);
  }

  /** Parses the text. Null, and reported, if it is no SQL. */
  parse(): Statement | null {
    const parsed = parseSql(this.#scalar.sql);
    if (!parsed.ok) {
      const empty = parsed.code === 'sql-empty' || parsed.range.start === parsed.range.end;
      if (empty) this.addWhole(parsed.code, parsed.message);
      else this.add(parsed.code, parsed.range, parsed.message);
      return null;
    }
    if (parsed.trailing !== null) this.add('second-statement', parsed.trailing);
    return parsed.statement;
  }
}

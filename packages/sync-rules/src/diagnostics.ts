/** Collects what is wrong with a document, in the order it is found, with exact places. */
import type { Diagnostic } from './api.ts';
import { type DiagnosticCode, diagnosticCodes } from './diagnostic-codes.ts';
import type { Range } from './sql/ast.ts';

export type { DiagnosticCode } from './diagnostic-codes.ts';

export interface DiagnosticDetails {
  /** Replaces the code's general remedy where a more precise one is known. */
  readonly hint?: string;
}

export class Diagnostics {
  readonly #text: string;
  readonly #lineStarts: readonly number[];
  readonly #found: Diagnostic[] = [];
  readonly #seen = new Set<string>();

  constructor(text: string) {
    this.#text = text;
    const starts = [0];
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.#lineStarts = starts;
  }

  get found(): readonly Diagnostic[] {
    return this.#found;
  }

  get hasFatal(): boolean {
    return this.#found.some(({ severity }) => severity === 'fatal');
  }

  /**
   * @param range UTF-16 offsets into the document
   * @param subject what the problem is about, put behind the code's text: a name, an excerpt
   */
  add(code: DiagnosticCode, range: Range, subject = '', details: DiagnosticDetails = {}): void {
    const entry = diagnosticCodes[code];
    const start = Math.min(Math.max(0, range.start), this.#text.length);
    const end = Math.min(Math.max(start, range.end), this.#text.length);
    const identity = `${code} ${start} ${end} ${subject}`;
    if (this.#seen.has(identity)) return;
    this.#seen.add(identity);
    this.#found.push({
      severity: entry.severity,
      code,
      message: subject === '' ? `${entry.text}.` : `${entry.text}: ${subject}.`,
      hint: details.hint ?? entry.hint,
      start,
      end,
      ...this.#place(start),
      text: this.#text.slice(start, end),
    });
  }

  #place(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (this.#lineStarts[low] ?? 0) + 1 };
  }
}

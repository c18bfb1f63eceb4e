/**
 * The text format of COPY, cut into rows. Whole lines are turned into one string and cut up by index; only lines with a
 * backslash are looked at value by value.
 */
import type { RawRow, RawValue } from '@sluice/core';
import { SluiceError } from '@sluice/core';

const NEWLINE = 0x0a;

export class CopyTextParser {
  readonly #columns: number;
  #rest: Buffer | null = null;

  constructor(columns: number) {
    this.#columns = columns;
  }

  /** Appends the rows that end in `chunk` to `rows`. @throws SLU_S1155 if a line has another number of columns */
  push(chunk: Buffer, rows: RawRow[]): void {
    if (chunk.length === 0) return;
    const last = chunk.lastIndexOf(NEWLINE);
    if (last < 0) {
      this.#rest = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
      return;
    }
    // A newline byte is never a part of another character, so cutting there keeps UTF-8 whole.
    const head =
      this.#rest === null ? chunk.subarray(0, last + 1) : Buffer.concat([this.#rest, chunk.subarray(0, last + 1)]);
    this.#rest = last + 1 < chunk.length ? chunk.subarray(last + 1) : null;
    this.#lines(head.toString('utf8'), rows);
  }

  /** @throws SLU_S1155 if the text ends inside a row */
  end(): void {
    if (this.#rest !== null) throw new SluiceError('SLU_S1155', 'the copied text ends inside a row');
  }

  #lines(text: string, rows: RawRow[]): void {
    const columns = this.#columns;
    // The server writes every line alike, so the first tells whether we agree on the columns.
    const found = text.slice(0, text.indexOf('\n')).split('\t').length;
    if (found !== columns) throw mismatch(found, columns);
    let escaped = text.indexOf('\\');
    let start = 0;
    while (start < text.length) {
      const end = text.indexOf('\n', start);
      const row: RawValue[] = [];
      // The count is known, so that the last column needs no search for a tab that may be a megabyte away.
      for (let column = 0; column < columns - 1; column++) {
        const tab = text.indexOf('\t', start);
        if (tab < 0 || tab > end) throw mismatch(column + 1, columns);
        row.push(text.slice(start, tab));
        start = tab + 1;
      }
      row.push(text.slice(start, end));
      if (escaped >= 0 && escaped < end) {
        for (let column = 0; column < columns; column++) row[column] = unescape(row[column] as string);
        escaped = text.indexOf('\\', end);
      }
      rows.push(row);
      start = end + 1;
    }
  }
}

function mismatch(found: number, expected: number): SluiceError {
  return new SluiceError('SLU_S1155', `a copied row has ${found} columns instead of ${expected}`);
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** What the server writes: `\N` for NULL, a letter for a control character, the character itself for anything else. */
function unescape(value: string): RawValue {
  if (value === '\\N') return null;
  let at = value.indexOf('\\');
  if (at < 0) return value;
  let text = '';
  let from = 0;
  while (at >= 0) {
    const letter = value.charAt(at + 1);
    text += value.slice(from, at) + (ESCAPES[letter] ?? letter);
    from = at + 2;
    at = value.indexOf('\\', from);
  }
  return text + value.slice(from);
}

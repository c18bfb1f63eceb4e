/**
 * The memory of the program that cuts the text of COPY (cut-rows.wat). One serves all copies: nothing in it outlives a call.
 */
import { CUT_ROWS_PROGRAM } from './cut-rows-program.ts';

/** Places in the memory, which the program knows, too. */
const ESCAPES = 0x100;
const MESSAGES = 0x10000;
const BYTES = 0x21000;
const STARTS = 0x40000;
const ENDS = 0x80000;
/** Of the state, in words of four bytes. */
const [COLUMN, IS_NULL, ESCAPING, START, USED, VALUES, ROWS, ROWS_END] = [0, 1, 2, 3, 4, 5, 6, 7];

/** What one call takes at most. */
export const MESSAGES_BYTES_MAX = 1 << 16;

/** A parser between two bytes of its text. */
export interface OpenText {
  /** Of the open row, and its open value. */
  column: number;
  isNull: boolean;
  escaping: boolean;
  start: number;
  /** Bytes that were written. */
  used: number;
}

/** What was cut last; valid until the next call. */
export interface CutValues {
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly rows: number;
  /** Where the last row ends; says nothing if there is none. */
  readonly rowsEnd: number;
}

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly cut: (from: number, to: number, columns: number) => number;
}

export class CutProgram {
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #cut: Exports['cut'];

  constructor(escapes: Uint8Array) {
    const module = new WebAssembly.Module(Buffer.from(CUT_ROWS_PROGRAM, 'base64'));
    const { memory, cut } = new WebAssembly.Instance(module).exports as unknown as Exports;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    this.#cut = cut;
    this.#bytes.set(escapes, ESCAPES);
  }

  /**
   * Moves the parser on over whole messages, `MESSAGES_BYTES_MAX` at most.
   * @returns null if a row has another number of columns, which `open.column` says then
   */
  cut(messages: Uint8Array, columns: number, open: OpenText): CutValues | null {
    const [words, { used }] = [this.#words, open];
    this.#bytes.set(messages, MESSAGES);
    words[COLUMN] = open.column;
    words[IS_NULL] = Number(open.isNull);
    words[ESCAPING] = Number(open.escaping);
    words[START] = open.start;
    words[USED] = used;
    const isRight = this.#cut(MESSAGES, MESSAGES + messages.length, columns) === 1;
    open.column = words[COLUMN];
    if (!isRight) return null;
    open.isNull = words[IS_NULL] === 1;
    open.escaping = words[ESCAPING] === 1;
    open.start = words[START];
    open.used = words[USED];
    const values = words[VALUES] as number;
    return {
      bytes: this.#bytes.subarray(BYTES, BYTES + open.used - used),
      starts: words.subarray(STARTS / 4, STARTS / 4 + values),
      ends: words.subarray(ENDS / 4, ENDS / 4 + values),
      rows: words[ROWS] as number,
      rowsEnd: words[ROWS_END] as number,
    };
  }
}

/** Null where it cannot run: x86 without SSE 4.1, a limit on addresses. */
export function openCutProgram(escapes: Uint8Array): CutProgram | null {
  try {
    return new CutProgram(escapes);
  } catch {
    return null;
  }
}

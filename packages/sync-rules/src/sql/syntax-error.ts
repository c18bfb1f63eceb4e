import type { Range } from './ast.ts';

export type SyntaxErrorCode = 'sql-syntax' | 'sql-too-deep' | 'sql-empty';

/** Ends the parse of one SQL text. Never leaves `parseSql`. */
export class SqlSyntaxError extends Error {
  readonly code: SyntaxErrorCode;
  readonly range: Range;

  constructor(code: SyntaxErrorCode, message: string, range: Range) {
    super(message);
    this.name = 'SqlSyntaxError';
    this.code = code;
    this.range = { start: range.start, end: range.end };
  }
}

/**
 * What an expression throws for a value it cannot work with (text that is not JSON, a blob compared with a blob). It
 * never leaves the package: one query's output for one row is dropped and its message reported.
 */
export class EvaluationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'EvaluationError';
  }
}

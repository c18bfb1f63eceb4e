import { SluiceError } from './errors.ts';

/** A broken promise of our own code. Stops what is being done; never shown to clients as more than a code. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new SluiceError('SLU_X0001', message);
}

export function unreachable(value: never): never {
  throw new SluiceError('SLU_X0001', `unreachable: ${JSON.stringify(value)}`);
}

import type { JsonMode } from '../json-path.ts';
import type { Value } from '../value.ts';

/** A function that rules may call on values. Pure: no clock, no chance, no request. */
export interface ScalarFunction {
  /** Lower case; calls match in any case. */
  readonly name: string;
  /** Number of arguments that streams check; bucket definitions ignore extra ones and read missing ones as absent. */
  readonly minArgs: number;
  readonly maxArgs: number;
  /** Not callable in streams of edition 3 where false. */
  readonly inStreams: boolean;
  /** One line for people. */
  readonly doc: string;
  /** @throws EvaluationError for arguments it cannot work with */
  readonly call: (args: readonly Value[], mode: JsonMode) => Value;
}

export interface Signature {
  readonly name: string;
  /** One number, or least and most. */
  readonly args: number | readonly [number, number];
  readonly doc: string;
  readonly inStreams?: boolean;
}

export function scalarFunction(signature: Signature, call: ScalarFunction['call']): ScalarFunction {
  const { name, args, doc, inStreams = true } = signature;
  const [minArgs, maxArgs] = typeof args === 'number' ? [args, args] : args;
  return { name, minArgs, maxArgs, inStreams, doc, call };
}

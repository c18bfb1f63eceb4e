/** The functions of streams that read the request. */
import type { Edition } from '../compatibility.ts';
import type { Plan } from '../expression/plan.ts';
import type { JsonMode } from '../json-path.ts';
import type { FunctionCall, Range } from '../sql/ast.ts';
import type { RequestInput, StreamInput } from './input.ts';

/** A call to one of them, its argument still to be planned. */
export interface RequestCall {
  readonly value: RequestInput['value'];
  /** Number of arguments: a path, or none. */
  readonly argumentCount: 0 | 1;
}

const calls: ReadonlyMap<string, RequestCall> = new Map([
  ['auth.user_id', { value: 'userId', argumentCount: 0 }],
  ['auth.parameters', { value: 'token', argumentCount: 0 }],
  ['auth.parameter', { value: 'token', argumentCount: 1 }],
  ['connection.parameters', { value: 'connection', argumentCount: 0 }],
  ['connection.parameter', { value: 'connection', argumentCount: 1 }],
  ['subscription.parameters', { value: 'subscription', argumentCount: 0 }],
  ['subscription.parameter', { value: 'subscription', argumentCount: 1 }],
]);

export function requestCall(node: FunctionCall): RequestCall | undefined {
  return node.schema === null ? undefined : calls.get(`${node.schema.name}.${node.name.name}`);
}

export function requestPlan(call: RequestCall, at: Range): Plan<StreamInput> {
  return { op: 'input', input: { kind: 'request', value: call.value, at } };
}

/** `parameter(path)` is `parameters() ->> path`; in edition 2 always by the newer rules for paths. */
export function pathMode(edition: Edition, mode: JsonMode): JsonMode {
  return edition === 3 ? mode : 'fixed';
}

/** Whether a value comes from the verified token. */
export function isAuthenticated({ value }: RequestInput): boolean {
  return value === 'userId' || value === 'token';
}

/** Where values in the queries of a bucket definition come from. */
import type { JsonEachRow } from '../functions/json-each.ts';
import type { Bind, Getter } from '../expression/compile.ts';
import { inputsOf, type Plan } from '../expression/plan.ts';
import type { RequestValues } from '../request-values.ts';
import type { TableCompiler } from '../table-compiler.ts';

export type RequestInput =
  /** `request.user_id()`, `request.jwt()`, `request.parameters()`. */
  | { readonly kind: 'userId' | 'token' | 'connection' }
  /** `token_parameters.name`, `user_parameters.name`. */
  | { readonly kind: 'tokenParameter' | 'connectionParameter'; readonly name: string };

export type Input =
  | RequestInput
  | { readonly kind: 'column'; readonly name: string }
  /** What the wildcard of the table name stands for. */
  | { readonly kind: 'suffix' }
  /** `bucket.name` in a data query. */
  | { readonly kind: 'bucketParameter'; readonly name: string }
  /** Column of json_each. */
  | { readonly kind: 'element'; readonly column: keyof JsonEachRow };

/** What an expression depends on; `static` is nothing at all. A `mixed` plan is never kept. */
export type Dependency = 'static' | 'row' | 'parameter';

export function dependencyOf(plan: Plan<Input>): Dependency {
  for (const { kind } of inputsOf(plan)) return kind === 'column' || kind === 'suffix' ? 'row' : 'parameter';
  return 'static';
}

export function inputText(input: Input): string {
  if (input.kind === 'element') return `element:${input.column}`;
  return 'name' in input ? `${input.kind}:${JSON.stringify(input.name)}` : input.kind;
}

/** Whether clients cannot choose the value. */
export function isAuthenticated({ kind }: Input): boolean {
  return kind === 'userId' || kind === 'token' || kind === 'tokenParameter';
}

export function isChosenByClient({ kind }: Input): boolean {
  return kind === 'connection' || kind === 'connectionParameter';
}

export interface RequestContext {
  readonly request: RequestValues;
  /** The row of json_each, in queries over one. */
  readonly element: JsonEachRow | null;
}

export function bindRequest(input: Input): Getter<RequestContext> {
  switch (input.kind) {
    case 'userId':
      return ({ request }) => request.userId;
    case 'token':
      return ({ request }) => request.tokenText;
    case 'connection':
      return ({ request }) => request.connectionText;
    case 'tokenParameter':
      return ({ request }) => request.tokenParameter(input.name);
    case 'connectionParameter':
      return ({ request }) => request.connectionParameter(input.name);
    case 'element':
      return ({ element }) => element?.[input.column] ?? null;
    case 'column':
    case 'suffix':
    case 'bucketParameter':
      return () => null;
  }
}

/** @param suffix what the wildcard stands for in this table */
export function bindRow<Row, Json>(compiler: TableCompiler<Row, Json>, suffix: string): Bind<Input, Row> {
  return (input) => {
    if (input.kind === 'column') return compiler.column(input.name);
    return input.kind === 'suffix' ? () => suffix : () => null;
  };
}

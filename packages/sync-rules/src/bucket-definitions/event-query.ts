/**
 * Payload queries of events. Events have no consumer here, so they are checked, for documents that have them, and not
 * compiled; their WHERE is not looked at, as in the service whose documents these are.
 */
import type { CompileContext } from '../definition.ts';
import type { SqlScalar } from '../document.ts';
import { Reporter } from '../reporter.ts';
import { ConditionBuilder } from './condition-builder.ts';
import { buildContext, type QueryContext } from './expressions.ts';
import { projectionOf } from './outputs.ts';
import { queryTable, selectOf } from './query-source.ts';

/** Reports what is wrong with a payload query. */
export function checkEventQuery(scalar: SqlScalar, context: CompileContext): void {
  const reporter = new Reporter(scalar, context.diagnostics);
  const select = selectOf(reporter);
  const table = select === null ? null : queryTable(select, context, reporter);
  if (select === null || table === null) return;
  const query: QueryContext = { context, reporter, scope: { kind: 'data', table } };
  projectionOf(select, table, { builder: new ConditionBuilder(buildContext(query), true), query });
}

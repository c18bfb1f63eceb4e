/** What is to be said of common table expressions apart from their uses. */
import type { CompileContext } from '../definition.ts';
import { knownTables } from '../table-pattern.ts';
import type { CommonTables } from './common-tables.ts';
import { SelectReader } from './select-reader.ts';
import { Sources } from './sources.ts';

/** Call it when every query that could use them has been read. */
export function checkCommonTables({ own }: CommonTables, compile: CompileContext): void {
  const { diagnostics, schema, defaultSchema } = compile;
  for (const { source, table, used } of own) {
    const pattern = { connectionTag: 'default', schema: defaultSchema, name: source.name, wildcard: false };
    if (schema !== null && knownTables(pattern, schema).length > 0) {
      diagnostics.add('common-table-shadows', source.keyRange, source.name);
    }
    if (used) continue;
    diagnostics.add('unused-common-table', source.keyRange, source.name);
    if (table === null) continue;
    const { scalar, reporter, select } = table;
    SelectReader.readInner(select, { compile, scalar, reporter, commonTables: null, sources: new Sources() }, null);
  }
}

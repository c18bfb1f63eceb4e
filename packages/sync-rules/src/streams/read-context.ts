import type { CompileContext } from '../definition.ts';
import type { SqlScalar } from '../document.ts';
import type { Reporter } from '../reporter.ts';
import type { CommonTables } from './common-tables.ts';
import type { Sources } from './sources.ts';

/** What reading one SQL text of a stream needs. */
export interface ReadContext {
  readonly compile: CompileContext;
  readonly scalar: SqlScalar;
  readonly reporter: Reporter;
  /** Null inside a common table expression, which sees no other. */
  readonly commonTables: CommonTables | null;
  readonly sources: Sources;
}

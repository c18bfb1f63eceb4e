export type * from './api.ts';
export type { TableShape } from './table-shape.ts';
export {
  type ClientColumn,
  type ClientSchema,
  type ClientSchemaResult,
  type ClientTable,
  clientSchema,
} from './client-schema.ts';
export { type DiagnosticCode, diagnosticCodes } from './diagnostic-codes.ts';
export { escapeArrangements } from './escape-arrangements.ts';
export { parseSyncRules } from './parse.ts';
export { textAsBytes } from './text-as-bytes.ts';
export { bsonColumn } from './types/bson.ts';
export { TimeValue, type TypedValue } from './types/typed-values.ts';
export { editorSchema } from './yaml/editor-schema.ts';

/** The JSON schema that editors check and complete sync rules with; made from the same shape as the validator. */
import { documentNeedsOneOf, documentShape, type Shape } from './shape.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

export function editorSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Sync rules',
    ...schemaOf(documentShape),
    anyOf: documentNeedsOneOf.map((key) => ({ required: [key] })),
  };
}

function schemaOf(shape: Shape): JsonSchema {
  return { ...typeOf(shape), description: shape.doc };
}

const sql = { type: 'string' } as const;
const sqlList = { type: 'array', items: sql } as const;

function typeOf(shape: Shape): JsonSchema {
  switch (shape.type) {
    case 'map':
      return {
        type: 'object',
        properties: Object.fromEntries(Object.entries(shape.keys).map(([key, value]) => [key, schemaOf(value)])),
        ...(shape.required === undefined ? {} : { required: shape.required }),
        additionalProperties: false,
      };
    case 'mapOf':
      return { type: 'object', additionalProperties: schemaOf(shape.values) };
    case 'sql':
      return sql;
    case 'sqlList':
      return sqlList;
    case 'sqlOrList':
      return { anyOf: [sql, sqlList] };
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return { type: 'integer' };
    case 'choice':
      return { type: 'string', enum: shape.values };
  }
}

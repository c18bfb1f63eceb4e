/** The source's tables for commands that work without a service: from a file, or from the source itself. */
import { readFileSync } from 'node:fs';
import { silentLogger, SluiceError } from '@sluice/core';
import type { SourceSchema } from '@sluice/sync-rules';
import { Ajv } from 'ajv';
import { loadConfig } from './resolve.ts';
import { readSourceSchema } from '../registry.ts';

export interface SourceSchemaOptions {
  /** A file, as `sluice schema --config FILE` prints it. */
  readonly schema?: string;
  /** A configuration whose source is asked. */
  readonly config?: string;
}

/** Null if neither is given. @throws SluiceError */
export async function sourceSchema({ schema, config }: SourceSchemaOptions): Promise<SourceSchema | null> {
  if (schema !== undefined) return readSchemaFile(schema);
  if (config === undefined) return null;
  return readSourceSchema(loadConfig(config, process.env).connection, silentLogger);
}

const text = { type: 'string' } as const;

const isSourceSchema = new Ajv().compile<SourceSchema>({
  type: 'object',
  required: ['tables'],
  properties: {
    tables: {
      type: 'array',
      items: {
        type: 'object',
        required: ['schema', 'name', 'columns'],
        properties: {
          schema: text,
          name: text,
          columns: {
            type: 'array',
            items: { type: 'object', required: ['name', 'type'], properties: { name: text, type: text } },
          },
        },
      },
    },
  },
});

const HINT =
  'Write {"tables": [{"schema", "name", "columns": [{"name", "type"}]}]}; `sluice schema --config` prints it.';

function readSchemaFile(file: string): SourceSchema {
  const document = parseJson(readText(file), file);
  if (isSourceSchema(document)) return document;
  const [error] = isSourceSchema.errors ?? [];
  const where = `${file}${error?.instancePath ?? ''}`;
  throw new SluiceError('SLU_C0003', `${where} ${error?.message ?? 'is no schema'}`, { hint: HINT });
}

function parseJson(json: string, file: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new SluiceError('SLU_C0003', `${file} is not JSON`, { hint: HINT, cause });
  }
}

/** @throws SLU_C0005 */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SluiceError('SLU_C0005', `${file} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, {
      hint: 'Check the path and its permissions.',
      cause,
    });
  }
}

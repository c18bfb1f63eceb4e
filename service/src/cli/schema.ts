/** `sluice schema [FILE]`: the schema that rules give to clients, as code; without rules, that of the source, as JSON. */
import { SluiceError } from '@sluice/core';
import { clientSchemaOf } from '../rules.ts';
import { clientSchemaText, type LanguageName } from './client-languages.ts';
import { diagnosticText } from './diagnostic-text.ts';
import { readText, sourceSchema, type SourceSchemaOptions } from '../config/source-schema.ts';

export interface SchemaOptions extends SourceSchemaOptions {
  readonly lang: LanguageName;
}

/** @returns 0, or 1 for rules with errors */
export async function schema(file: string | undefined, options: SchemaOptions): Promise<number> {
  const source = await sourceSchema(options);
  if (file === undefined) {
    if (source === null) throw new SluiceError('SLU_C0001', 'neither rules nor a source are given', { hint: HINT });
    process.stdout.write(`${JSON.stringify(source, null, 2)}\n`);
    return 0;
  }
  const { schema: client, diagnostics } = clientSchemaOf(readText(file), source);
  for (const each of diagnostics) process.stderr.write(`${diagnosticText(each, file)}\n`);
  if (client === null) return 1;
  process.stdout.write(clientSchemaText(client, options.lang));
  return 0;
}

const HINT = 'Give a file of rules, or --config FILE to print the schema of its source.';

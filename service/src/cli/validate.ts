/** `sluice validate FILE`: offline, or against a source; for editors and continuous integration. */
import type { Diagnostic } from '@sluice/sync-rules';
import { parseRules } from '../rules.ts';
import { diagnosticText } from './diagnostic-text.ts';
import { readText, sourceSchema, type SourceSchemaOptions } from '../config/source-schema.ts';

export interface ValidateOptions extends SourceSchemaOptions {
  readonly json?: boolean;
  /** Warnings count as errors. */
  readonly strict?: boolean;
}

/** @returns 0 if the rules are well, 1 if not */
export async function validate(file: string, options: ValidateOptions): Promise<number> {
  const { diagnostics, rules } = parseRules(readText(file), await sourceSchema(options));
  const bad = rules === null || (options.strict === true && diagnostics.length > 0);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ valid: !bad, file, diagnostics }, null, 2)}\n`);
    return bad ? 1 : 0;
  }
  for (const each of diagnostics) process.stderr.write(`${diagnosticText(each, file)}\n`);
  if (bad) {
    process.stderr.write(`${file}: ${count(diagnostics)}\n`);
    return 1;
  }
  const definitions = rules.definitions.length;
  process.stdout.write(
    `${file}: valid, ${definitions} definition${definitions === 1 ? '' : 's'}${diagnostics.length === 0 ? '' : `, ${count(diagnostics)}`}\n`,
  );
  return 0;
}

function count(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter((each) => each.severity === 'fatal').length;
  const warnings = diagnostics.length - errors;
  const parts = [
    errors > 0 ? `${errors} error${errors === 1 ? '' : 's'}` : '',
    warnings > 0 ? `${warnings} warning${warnings === 1 ? '' : 's'}` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

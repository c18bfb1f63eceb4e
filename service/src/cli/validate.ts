/** `sluice validate FILE`: offline, for editors and continuous integration. */
import { readFileSync } from 'node:fs';
import { SluiceError } from '@sluice/core';
import type { Diagnostic } from '@sluice/sync-rules';
import { parseRules, placeOf } from '../rules.ts';

/** @returns 0 if the rules are well, 1 if not */
export async function validate(file: string, options: { json?: boolean; strict?: boolean }): Promise<number> {
  const { diagnostics, rules } = parseRules(readRules(file));
  const bad = rules === null || (options.strict === true && diagnostics.length > 0);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ valid: !bad, file, diagnostics }, null, 2)}\n`);
    return bad ? 1 : 0;
  }
  for (const each of diagnostics) process.stderr.write(`${text(each, file)}\n`);
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

function readRules(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SluiceError('SLU_C0005', `${file} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, {
      hint: 'Check the path and its permissions.',
      cause,
    });
  }
}

function text(diagnostic: Diagnostic, file: string): string {
  const { severity, code, message, hint } = diagnostic;
  return `${placeOf(diagnostic, file)}: ${severity === 'fatal' ? 'error' : severity}: ${message} [${code}]\n  → ${hint}`;
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

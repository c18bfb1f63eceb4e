/** A diagnostic as a person reads it in a terminal. */
import type { Diagnostic } from '@sluice/sync-rules';
import { placeOf } from '../rules.ts';

export function diagnosticText(diagnostic: Diagnostic, file: string): string {
  const { severity, code, message, hint } = diagnostic;
  return `${placeOf(diagnostic, file)}: ${severity === 'fatal' ? 'error' : severity}: ${message} [${code}]\n  → ${hint}`;
}

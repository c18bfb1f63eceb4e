/**
 * The measured cases are not part of the repository. The test runs the file that SLUICE_RULES_CASES names, or the one
 * beside the repository, and is skipped where there is neither.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readRulesCases } from './rules-case-file.ts';
import { judgeCase } from './rules-cases.ts';

/** Share of the cases that pass; only ever raised. The others differ on purpose (docs/sync-rules.md). */
const PASSED_MIN = 0.962;

const file =
  process.env['SLUICE_RULES_CASES'] ?? fileURLToPath(new URL('../../../shared/cases/sync-rules.json', import.meta.url));
const reason = existsSync(file) ? '' : ' (skipped: set SLUICE_RULES_CASES to a file of cases)';

test.skipIf(reason !== '')(`measured sync rules cases${reason}`, async () => {
  const cases = readRulesCases(file);
  const failed: string[] = [];
  for (const rulesCase of cases) {
    if ((await judgeCase(rulesCase)).differences.length > 0) failed.push(rulesCase.name);
  }
  expect(cases.length).toBeGreaterThan(0);
  expect((cases.length - failed.length) / cases.length, failed.join(', ')).toBeGreaterThanOrEqual(PASSED_MIN);
});

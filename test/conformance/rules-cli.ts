/** `npm run conformance:rules -- FILE [NAME…]`: measured cases against our sync rules; with names, only those, in detail. */
import { inspect } from 'node:util';
import { readRulesCases } from './rules-case-file.ts';
import { judgeCase, type Verdict } from './rules-cases.ts';

const [file, ...names] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: npm run conformance:rules -- FILE [NAME…]');
  process.exit(2);
}

const cases = readRulesCases(file).filter(
  ({ name }) => names.length === 0 || names.some((part) => name.includes(part)),
);
const verdicts: Verdict[] = [];
for (const rulesCase of cases) verdicts.push(await judgeCase(rulesCase));
const failed = verdicts.filter(({ differences }) => differences.length > 0);
for (const { name, quirk, differences } of failed) {
  console.log(`${name}${quirk === 'may_fix' ? ' (may_fix)' : ''}: ${differences.map(({ what }) => what).join(', ')}`);
  if (names.length > 0) console.log(inspect(differences, { depth: 6, maxStringLength: 2000 }));
}
console.log(`${verdicts.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;

import { createHash } from 'node:crypto';
import { bigJson } from '../json.ts';
import { normaliseParam, type ParameterValue } from '../value.ts';
import { type IndexPlan, indexText } from './plan.ts';

/** Makes the keys of one index: `["stream","<hash of the index's meaning>",…]`, the same for rows and for requests. */
export function lookupKeys(index: IndexPlan): (values: readonly ParameterValue[]) => string {
  const hash = createHash('sha256').update(indexText(index)).digest('hex').slice(0, 16);
  const head = `["stream","${hash}"`;
  return (values) => {
    let key = head;
    for (const value of values) key += `,${bigJson(normaliseParam(value))}`;
    return `${key}]`;
  };
}

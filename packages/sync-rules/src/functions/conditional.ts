/** Functions that choose between values, or tell what a value is. */
import { isNull, isTrue, typeOf } from '../value.ts';
import { type ScalarFunction, scalarFunction } from './scalar-function.ts';

export const conditionalFunctions: readonly ScalarFunction[] = [
  scalarFunction(
    { name: 'ifnull', args: [2, Number.POSITIVE_INFINITY], doc: 'The first argument that is not null.' },
    (args) => args.find((value) => !isNull(value)) ?? null,
  ),
  scalarFunction(
    { name: 'iif', args: 3, doc: 'The second argument if the first is true, else the third.' },
    ([condition, yes, no]) => (isTrue(condition) ? yes : no),
  ),
  scalarFunction({ name: 'typeof', args: 1, doc: 'null, integer, real, text or blob.' }, ([value]) => typeOf(value)),
];

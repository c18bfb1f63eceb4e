/** Every scalar function, by its lower-case name. */
import { conditionalFunctions } from './conditional.ts';
import { datetimeFunctions } from './datetime.ts';
import { geometryFunctions } from './geometry.ts';
import { jsonFunctions } from './json-functions.ts';
import type { ScalarFunction } from './scalar-function.ts';
import { textFunctions } from './text.ts';

export const scalarFunctions: ReadonlyMap<string, ScalarFunction> = new Map(
  [...textFunctions, ...conditionalFunctions, ...jsonFunctions, ...datetimeFunctions, ...geometryFunctions].map(
    (entry) => [entry.name, entry],
  ),
);

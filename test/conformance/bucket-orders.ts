/**
 * The order of parameters inside a stream's bucket names is the engine's own. Two results agree if one reordering for
 * each bucket prefix turns all names of one into those of the other.
 */

/** Every consistent reordering of our bucket names that could give expected ones. */
export function bucketOrders(
  expected: readonly string[],
  actual: readonly string[],
): readonly ((bucket: string) => string)[] {
  const lengths = new Map<string, number>();
  for (const bucket of [...expected, ...actual]) {
    const { prefix, parameters } = split(bucket);
    lengths.set(prefix, Math.max(lengths.get(prefix) ?? 0, parameters.length));
  }
  let choices: ReadonlyMap<string, readonly number[]>[] = [new Map()];
  for (const [prefix, length] of lengths) {
    choices = choices.flatMap((chosen) =>
      permutations(length).map((permutation) => new Map([...chosen, [prefix, permutation]])),
    );
    if (choices.length > 10_000) throw new Error('too many bucket parameters to compare in every order');
  }
  return choices.map((chosen) => (bucket) => reorder(bucket, chosen));
}

function reorder(bucket: string, chosen: ReadonlyMap<string, readonly number[]>): string {
  const { prefix, parameters } = split(bucket);
  const permutation = chosen.get(prefix) ?? [];
  return `${prefix}[${permutation.map((from) => parameters[from]).join(',')}]`;
}

/** The parameters as JSON texts, so that no number changes. */
function split(bucket: string): { prefix: string; parameters: readonly string[] } {
  const at = bucket.indexOf('[');
  const list = bucket.slice(at + 1, -1);
  const parameters = list.match(/"(?:[^"\\]|\\.)*"|[^,]+/g) ?? [];
  return { prefix: bucket.slice(0, at), parameters };
}

function permutations(length: number): readonly (readonly number[])[] {
  if (length === 0) return [[]];
  return permutations(length - 1).flatMap((shorter) =>
    Array.from({ length }, (_, at) => [...shorter.slice(0, at), length - 1, ...shorter.slice(at)]),
  );
}

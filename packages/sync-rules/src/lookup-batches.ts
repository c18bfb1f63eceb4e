/** Joins the lookups that the queriers of one request ask for at the same time into one read of the index. */
import type { LookupReader } from './definition.ts';

export interface LookupBatches {
  readonly read: LookupReader;
  /** Every key that was asked for, once, in the order of the first question. */
  keys(): readonly string[];
}

interface Question {
  readonly keys: readonly string[];
  readonly answer: (found: readonly (readonly string[])[]) => void;
  readonly fail: (reason: unknown) => void;
}

export function lookupBatches(lookup: LookupReader): LookupBatches {
  const asked = new Set<string>();
  let open: Question[] = [];

  const flush = async (): Promise<void> => {
    const questions = open;
    open = [];
    const keys = [...new Set(questions.flatMap((question) => question.keys))];
    try {
      const found = await lookup(keys);
      const byKey = new Map(keys.map((key, index) => [key, found[index] ?? []]));
      for (const question of questions) question.answer(question.keys.map((key) => byKey.get(key) ?? []));
    } catch (error) {
      for (const { fail } of questions) fail(error);
    }
  };

  return {
    read: (keys) =>
      new Promise((answer, fail) => {
        for (const key of keys) asked.add(key);
        // Questions of one turn go out together, at its end.
        if (open.length === 0) queueMicrotask(() => void flush());
        open.push({ keys, answer, fail });
      }),
    keys: () => [...asked],
  };
}

/** Gathers what a plan says about one source: its filters, its keys and what others need of it. */
import { type Plan, planText } from '../expression/plan.ts';
import type { StreamInput } from './input.ts';
import { type KeyReferences, referenceText, type ValueReference } from './plan.ts';

export interface BuiltKey<Input> {
  readonly plan: Plan<Input>;
  readonly references: KeyReferences;
}

export class SourceBuilder<Input> {
  readonly #convert: (plan: Plan<StreamInput>) => Plan<Input>;
  readonly #inputText: (input: Input) => string;
  readonly #filters: Plan<Input>[] = [];
  readonly #keys = new Map<string, { plan: Plan<Input>; references: Map<string, ValueReference> }>();
  readonly #outputs = new Map<string, Plan<Input>>();
  readonly #places = new Map<string, number>();

  /**
   * @param convert a plan over this source into one over its own inputs
   * @param inputText canonical text of an input
   */
  constructor(convert: (plan: Plan<StreamInput>) => Plan<Input>, inputText: (input: Input) => string) {
    this.#convert = convert;
    this.#inputText = inputText;
  }

  addFilter(plan: Plan<StreamInput>): void {
    this.#filters.push(this.#convert(plan));
  }

  /** A key that equals several values must equal all of them. */
  addKey(plan: Plan<StreamInput>, reference: ValueReference): void {
    const converted = this.#convert(plan);
    const text = planText(converted, this.#inputText);
    const key = this.#keys.get(text) ?? { plan: converted, references: new Map() };
    key.references.set(referenceText(reference), reference);
    this.#keys.set(text, key);
  }

  /** Place of a value among the outputs. */
  output(plan: Plan<StreamInput>): number {
    const converted = this.#convert(plan);
    const text = planText(converted, this.#inputText);
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    this.#places.set(text, this.#outputs.size);
    this.#outputs.set(text, converted);
    return this.#outputs.size - 1;
  }

  get filters(): readonly Plan<Input>[] {
    return this.#filters;
  }

  get outputs(): readonly Plan<Input>[] {
    return [...this.#outputs.values()];
  }

  /** In the order of their canonical texts. */
  get keys(): readonly BuiltKey<Input>[] {
    const sorted = [...this.#keys].sort(([left], [right]) => (left < right ? -1 : 1));
    return sorted.map(([, { plan, references }]) => ({ plan, references: [...references.values()] }));
  }
}

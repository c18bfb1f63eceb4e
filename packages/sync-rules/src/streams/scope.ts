/** Names in a query: what FROM brings in, and outside of a subquery what stands around it. */
import type { Plan } from '../expression/plan.ts';
import type { ElementField, SourceId, StreamInput } from './input.ts';

export type Relation =
  | {
      readonly kind: 'table';
      readonly source: SourceId;
      /** By the source's schema; null if that does not know the table. */
      readonly knownColumns: ReadonlySet<string> | null;
    }
  /** `json_each`, its columns perhaps renamed. */
  | { readonly kind: 'each'; readonly source: SourceId; readonly fields: ReadonlyMap<string, ElementField> }
  /** Wrong, and reported: nothing more is said about its columns. */
  | { readonly kind: 'broken' }
  /** A query in FROM. A column that is wrong, and reported, is null. */
  | { readonly kind: 'query'; readonly columns: ReadonlyMap<string, Plan<StreamInput> | null> };

export class Scope {
  readonly #parent: Scope | null;
  readonly #relations = new Map<string, Relation>();

  constructor(parent: Scope | null) {
    this.#parent = parent;
  }

  /** False if the name is taken. */
  add(name: string, relation: Relation): boolean {
    if (this.#relations.has(name)) return false;
    this.#relations.set(name, relation);
    return true;
  }

  /** Own relations, in the order of FROM. */
  get relations(): readonly Relation[] {
    return [...this.#relations.values()];
  }

  own(name: string): Relation | undefined {
    return this.#relations.get(name);
  }

  /** Inner names hide outer ones. */
  find(name: string): Relation | undefined {
    return this.#relations.get(name) ?? this.#parent?.find(name);
  }

  get hasBroken(): boolean {
    return this.relations.some(({ kind }) => kind === 'broken');
  }

  get names(): readonly string[] {
    return [...this.#relations.keys(), ...(this.#parent?.names ?? [])];
  }
}

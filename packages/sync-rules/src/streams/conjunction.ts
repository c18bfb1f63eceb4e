/** One alternative of a query, sorted: what filters one thing, and what makes two things equal. */
import type { Plan } from '../expression/plan.ts';
import type { Conjunction, Term } from './condition.ts';
import type { SourceId, StreamInput } from './input.ts';
import type { StreamQuery } from './query.ts';
import type { Root, Sources } from './sources.ts';

export interface Side {
  readonly root: Root;
  readonly plan: Plan<StreamInput>;
}

export class SortedConjunction {
  readonly #sources: Sources;
  /** Constant arrays that are read with the rows of a table: the first that they are compared with. */
  readonly #attached = new Map<SourceId, SourceId>();
  readonly #members: readonly SourceId[];
  readonly filters: readonly Side[];
  readonly equalities: readonly (readonly [Side, Side])[];
  /** Conditions on nothing. */
  readonly constants: readonly Plan<StreamInput>[];

  constructor(query: StreamQuery, conjunction: Conjunction) {
    this.#sources = query.sources;
    const terms = conjunction.filter((part) => part.kind === 'term');
    const joins = conjunction.flatMap((part) => (part.kind === 'join' ? part.sources : []));
    this.#members = [...new Set([...query.joined, ...joins])];
    for (const { equality } of terms) {
      if (equality !== null) this.#attach(this.#onlyRoot(equality.left), this.#onlyRoot(equality.right));
    }
    const sorted = terms.map((term) => this.#sort(term));
    this.filters = sorted.flatMap((entry) => (entry.length === 1 ? entry : []));
    this.equalities = sorted.flatMap((entry): [Side, Side][] => (entry.length === 2 ? [entry] : []));
    this.constants = terms.filter(({ plan }) => this.#rootsOf(plan).length === 0).map(({ plan }) => plan);
  }

  /** What is read, in the order of the query; arrays of rows count with their table. */
  get roots(): readonly SourceId[] {
    return [...new Set(this.#members.map((id) => this.#rootOfSource(id)))];
  }

  /** The arrays that are read with the rows of a table. */
  eachesOf(table: SourceId): readonly SourceId[] {
    return this.#members.filter((id) => id !== table && this.#rootOfSource(id) === table);
  }

  #sort(term: Term): [] | [Side] | [Side, Side] {
    const [first, second] = this.#rootsOf(term.plan);
    if (first === undefined) return [];
    if (second === undefined || term.equality === null) return [{ root: first, plan: term.plan }];
    const { left, right } = term.equality;
    return [
      { root: this.#onlyRoot(left) ?? first, plan: left },
      { root: this.#onlyRoot(right) ?? second, plan: right },
    ];
  }

  #attach(left: Root | undefined, right: Root | undefined): void {
    if (this.#isTable(left) && this.#isConstantArray(right)) this.#attached.set(right, left);
    else if (this.#isTable(right) && this.#isConstantArray(left)) this.#attached.set(left, right);
  }

  #isTable(root: Root | undefined): root is SourceId {
    return typeof root === 'number' && this.#sources.get(root).kind === 'table';
  }

  #isConstantArray(root: Root | undefined): root is SourceId {
    if (typeof root !== 'number' || this.#attached.has(root)) return false;
    return this.#sources.get(root).kind === 'each' && this.#sources.eachBase(root) === 'constant';
  }

  #rootOfSource(id: SourceId): SourceId {
    if (this.#sources.get(id).kind === 'table') return id;
    const base = this.#sources.eachBase(id);
    return typeof base === 'number' ? base : (this.#attached.get(id) ?? id);
  }

  #rootsOf(plan: Plan<StreamInput>): readonly Root[] {
    const roots = [...this.#sources.rootsOf(plan)];
    return [...new Set(roots.map((root) => (root === 'request' ? root : this.#rootOfSource(root))))];
  }

  #onlyRoot(plan: Plan<StreamInput>): Root | undefined {
    return this.#rootsOf(plan)[0];
  }
}

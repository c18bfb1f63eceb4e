/**
 * Plans one alternative of a query. Starting from the synced table, each equality with something else becomes a key of
 * the table; what the key must be equal to is found the same way: the tables that it leads to become indexes, found
 * before those that need them. Each equality is used once, by whichever of its two sides is planned later.
 */
import { invariant } from '@sluice/core';
import { EvaluationError } from '../evaluation-error.ts';
import { compilePlan } from '../expression/compile.ts';
import { type Plan, planText } from '../expression/plan.ts';
import { isTrue } from '../value.ts';
import type { Conjunction } from './condition.ts';
import { type Side, SortedConjunction } from './conjunction.ts';
import type { RequestInput, SourceId, StreamInput } from './input.ts';
import { mapInputs } from './map-inputs.ts';
import {
  type EachInput,
  eachInputText,
  type RequestPlan,
  type RowInput,
  rowInputText,
  type RowPlan,
  type Stage,
  type ValueReference,
} from './plan.ts';
import type { StreamQuery } from './query.ts';
import { SourceBuilder } from './source-builder.ts';
import type { TableSourceInfo } from './sources.ts';

export interface ConjunctionPlan {
  readonly table: TableSourceInfo;
  readonly row: RowPlan;
  /** A plan over the synced table as one over `row`. */
  readonly toRow: (plan: Plan<StreamInput>) => Plan<RowInput>;
  readonly request: RequestPlan;
}

export function planConjunction(query: StreamQuery, conjunction: Conjunction): ConjunctionPlan {
  return new ConjunctionPlanner(query, new SortedConjunction(query, conjunction)).plan();
}

interface PlannedSource {
  readonly builder: SourceBuilder<RowInput> | SourceBuilder<EachInput>;
  /** Null while its equalities are being followed, and for the synced table. */
  stage: number | null;
}

interface PlannedTable {
  readonly info: TableSourceInfo;
  /** Arrays of its rows. */
  readonly eaches: readonly SourceId[];
  readonly convert: (plan: Plan<StreamInput>) => Plan<RowInput>;
  readonly builder: SourceBuilder<RowInput>;
}

class ConjunctionPlanner {
  readonly #query: StreamQuery;
  readonly #sorted: SortedConjunction;
  readonly #planned = new Map<SourceId, PlannedSource>();
  /** Made at the end: later equalities add outputs to earlier stages. */
  readonly #stages: (() => Stage)[] = [];

  constructor(query: StreamQuery, sorted: SortedConjunction) {
    this.#query = query;
    this.#sorted = sorted;
  }

  plan(): ConjunctionPlan {
    const { primary } = this.#query;
    const table = this.#tableBuilder(primary);
    this.#followEqualities(primary, table.builder);
    for (const root of this.#sorted.roots) if (!this.#planned.has(root)) this.#planStage(root);
    const keys = table.builder.keys;
    return {
      table: table.info,
      row: this.#rowPlan(primary, table),
      toRow: table.convert,
      request: {
        filters: this.#requestFilters(),
        stages: this.#stages.map((make) => make()),
        parameters: keys.map(({ references }) => references),
      },
    };
  }

  /** A source other than the synced table: an index, or an array of the request. */
  #planStage(root: SourceId): PlannedSource {
    return this.#query.sources.get(root).kind === 'table' ? this.#planIndex(root) : this.#planEach(root);
  }

  #planIndex(root: SourceId): PlannedSource {
    const table = this.#tableBuilder(root);
    const planned = this.#followEqualities(root, table.builder);
    planned.stage =
      this.#stages.push(() => ({
        kind: 'index',
        index: { ...this.#rowPlan(root, table), outputs: table.builder.outputs },
        keys: table.builder.keys.map(({ references }) => references),
      })) - 1;
    return planned;
  }

  #planEach(root: SourceId): PlannedSource {
    const source = this.#query.sources.get(root);
    invariant(source.kind === 'each', 'streams: a stage is a table or an array');
    const builder = new SourceBuilder(toEachPlan, eachInputText);
    const planned = this.#followEqualities(root, builder);
    planned.stage =
      this.#stages.push(() => ({
        kind: 'each',
        argument: toRequestPlan(source.argument),
        filters: builder.filters,
        keys: builder.keys,
        outputs: builder.outputs,
      })) - 1;
    return planned;
  }

  #followEqualities(root: SourceId, builder: SourceBuilder<RowInput> | SourceBuilder<EachInput>): PlannedSource {
    const planned: PlannedSource = { builder, stage: null };
    this.#planned.set(root, planned);
    for (const filter of this.#sorted.filters) if (filter.root === root) builder.addFilter(filter.plan);
    for (const [left, right] of this.#sorted.equalities) {
      if (left.root !== root && right.root !== root) continue;
      const [own, other] = left.root === root ? [left, right] : [right, left];
      const reference = this.#reference(other, root);
      if (reference !== null) builder.addKey(own.plan, reference);
    }
    return planned;
  }

  /** Null if the other side will use the equality. */
  #reference({ root, plan }: Side, from: SourceId): ValueReference | null {
    if (root === 'request') return { kind: 'request', plan: toRequestPlan(plan) };
    let planned = this.#planned.get(root);
    if (planned === undefined) {
      // Arrays of the request need no table to be read.
      if (this.#query.sources.get(from).kind === 'each') return null;
      planned = this.#planStage(root);
    }
    if (planned.stage === null) return null;
    return { kind: 'output', stage: planned.stage, output: planned.builder.output(plan) };
  }

  #requestFilters(): readonly Plan<RequestInput>[] {
    const { filters, constants } = this.#sorted;
    const own = filters.filter(({ root }) => root === 'request').map(({ plan }) => plan);
    return [...constants.filter((plan) => !isAlwaysTrue(plan)), ...own].map(toRequestPlan);
  }

  #tableBuilder(root: SourceId): PlannedTable {
    const info = this.#query.sources.get(root);
    invariant(info.kind === 'table', 'streams: rows come from tables');
    const eaches = this.#eachesOf(root);
    const hasSuffix = this.#query.hasTableSuffix && info.pattern.wildcard;
    const convert = (plan: Plan<StreamInput>): Plan<RowInput> => toRowPlan(plan, { eaches, hasSuffix });
    return { info, eaches, convert, builder: new SourceBuilder(convert, rowInputText) };
  }

  /** In the order of their arguments' canonical texts, so that equal plans are equal texts. */
  #eachesOf(table: SourceId): readonly SourceId[] {
    const text = (id: SourceId): string => planText(this.#eachArgument(id), rowInputText);
    return [...this.#sorted.eachesOf(table)].sort((left, right) => (text(left) <= text(right) ? -1 : 1));
  }

  #eachArgument(id: SourceId): Plan<RowInput> {
    const source = this.#query.sources.get(id);
    invariant(source.kind === 'each', 'streams: only arrays have elements');
    return toRowPlan(source.argument, { eaches: [], hasSuffix: false });
  }

  #rowPlan(root: SourceId, { info, eaches, builder }: PlannedTable): RowPlan {
    invariant(this.#planned.has(root), 'streams: a table is planned before its rows');
    return {
      table: info.pattern,
      eaches: eaches.map((id) => this.#eachArgument(id)),
      filters: builder.filters,
      keys: builder.keys.map(({ plan }) => plan),
    };
  }
}

interface RowInputs {
  readonly eaches: readonly SourceId[];
  readonly hasSuffix: boolean;
}

const TABLE_SUFFIX = '_table_suffix';

function toRowPlan(plan: Plan<StreamInput>, { eaches, hasSuffix }: RowInputs): Plan<RowInput> {
  return mapInputs<StreamInput, RowInput>(plan, (input) => {
    invariant(input.kind !== 'request', 'streams: a row does not know the request');
    if (input.kind === 'column') {
      if (hasSuffix && input.name === TABLE_SUFFIX) return { op: 'input', input: { kind: 'tableSuffix' } };
      return { op: 'input', input: { kind: 'column', name: input.name } };
    }
    return { op: 'input', input: { kind: 'element', each: eaches.indexOf(input.source), field: input.field } };
  });
}

function toEachPlan(plan: Plan<StreamInput>): Plan<EachInput> {
  return mapInputs(plan, (input) => {
    invariant(input.kind !== 'column', 'streams: an array of the request has no columns');
    return { op: 'input', input: input.kind === 'request' ? input : { kind: 'element', field: input.field } };
  });
}

function toRequestPlan(plan: Plan<StreamInput>): Plan<RequestInput> {
  return mapInputs(plan, (input) => {
    invariant(input.kind === 'request', 'streams: a request has no rows');
    return { op: 'input', input };
  });
}

/** A constant that cannot be computed is an error of each request, not of the rules. */
function isAlwaysTrue(plan: Plan<StreamInput>): boolean {
  try {
    return isTrue(compilePlan(toRequestPlan(plan), () => () => null)(null));
  } catch (error) {
    if (error instanceof EvaluationError) return false;
    throw error;
  }
}

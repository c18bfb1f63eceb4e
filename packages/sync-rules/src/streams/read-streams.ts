/** The streams of a document: planned one by one, then named, with equal parts shared. */
import { jsonMode } from '../compatibility.ts';
import type { CompileContext, Definition } from '../definition.ts';
import type { RulesDocument, StreamSource } from '../document.ts';
import { CommonTables } from './common-tables.ts';
import { dangerIn } from './danger.ts';
import { bucketRowText, type IndexPlan, indexText } from './plan.ts';
import { checkCommonTables } from './check-common-tables.ts';
import { planStream, type StreamPlan } from './plan-stream.ts';
import { type StreamBucket, StreamDefinition } from './stream-definition.ts';

/** Definitions in the order of the document. Those that are wrong, which has been reported, are left out. */
export function readStreams(document: RulesDocument, context: CompileContext): readonly Definition[] {
  const shared = new CommonTables(document.ctes, context, null);
  const planned = document.streams.flatMap((source) => {
    const plan = readStream(source, shared, context);
    return plan === null ? [] : [{ source, plan }];
  });
  checkCommonTables(shared, context);
  const names = new SharedParts();
  return planned.map(({ source, plan }) => definitionOf(source, plan, { names, context }));
}

function readStream(source: StreamSource, outer: CommonTables, context: CompileContext): StreamPlan | null {
  const commonTables = new CommonTables(source.ctes, context, outer);
  const plan = planStream(source, commonTables, context);
  checkCommonTables(commonTables, context);
  if (plan !== null && !source.acceptDangerous) warnDangers(plan, context);
  return plan;
}

function warnDangers({ kinds }: StreamPlan, { compatibility, diagnostics }: CompileContext): void {
  if (compatibility.edition < 3) return;
  for (const { request } of kinds) {
    const place = dangerIn(request);
    if (place !== null) diagnostics.add('dangerous-parameters', place);
  }
}

/** Parts that several streams have in common belong to the first of them. */
class SharedParts {
  readonly #bucketNames = new Map<string, string>();
  readonly #indexes = new Set<string>();

  /** The name of buckets with these rows: the one proposed, unless there are such buckets already. */
  bucketName(rows: StreamBucket['rows'], proposed: string): string {
    const shape = JSON.stringify(rows.map(bucketRowText).sort());
    const known = this.#bucketNames.get(shape);
    if (known !== undefined) return known;
    this.#bucketNames.set(shape, proposed);
    return proposed;
  }

  /** Whether this is the first to have the index. */
  claimIndex(index: IndexPlan): boolean {
    const text = indexText(index);
    if (this.#indexes.has(text)) return false;
    this.#indexes.add(text);
    return true;
  }

  get bucketNames(): readonly string[] {
    return [...this.#bucketNames.values()];
  }
}

interface Naming {
  readonly names: SharedParts;
  readonly context: CompileContext;
}

function definitionOf(source: StreamSource, { kinds }: StreamPlan, { names, context }: Naming): Definition {
  const { compatibility, bucketPrefix } = context;
  const isAlpha = compatibility.edition < 3;
  const sharedBuckets = new Set(names.bucketNames);
  const buckets = kinds.map(({ number, rows, request }): StreamBucket => {
    const proposed = `${source.name}|${number}`;
    return { name: isAlpha ? proposed : names.bucketName(rows, proposed), rows, request };
  });
  const stages = buckets.flatMap(({ request }) => request.stages);
  const indexes = stages.flatMap((stage) => (stage.kind === 'index' ? [stage.index] : []));
  return new StreamDefinition({
    name: source.name,
    isDefault: source.autoSubscribe,
    // Streams of edition 2 all have the same priority, which rules written for it rely on.
    priority: isAlpha ? null : source.priority,
    bucketPrefix,
    buckets,
    sharedBuckets,
    indexes: indexes.filter((index) => names.claimIndex(index)),
    mode: jsonMode(compatibility),
    nullParameters: isAlpha,
  });
}

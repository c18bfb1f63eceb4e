/** Compares a document with its shape, and reports each place where they differ. */
import { isAlias, isScalar, type Node } from 'yaml';
import type { Diagnostics } from '../diagnostics.ts';
import { closestName, didYouMean } from '../did-you-mean.ts';
import type { Range } from '../sql/ast.ts';
import { type Entry, firstCharacter, type Nodes, ownRange, scalarValue, wholeRange } from './nodes.ts';
import type { Shape } from './shape.ts';

export interface ShapeContext {
  readonly nodes: Nodes;
  readonly diagnostics: Diagnostics;
}

type MapShape = Extract<Shape, { type: 'map' }>;

export function checkShape(node: Node, shape: Shape, context: ShapeContext): void {
  const { nodes, diagnostics } = context;
  if (isUnknownAlias(node, context)) return;
  switch (shape.type) {
    case 'map':
      checkMap(node, shape, context);
      return;
    case 'mapOf':
      for (const { value } of uniqueEntries(node, context)) checkShape(value, shape.values, context);
      return;
    case 'sql':
      if (!isScalar(node)) diagnostics.add('not-a-string', wholeRange(node));
      return;
    case 'sqlList':
      checkSqlList(node, context);
      return;
    case 'sqlOrList':
      if (nodes.items(node) !== null) checkSqlList(node, context);
      else if (!isScalar(node)) diagnostics.add('not-a-string', ownRange(node));
      return;
    case 'boolean':
      if (typeof scalarValue(node) !== 'boolean') diagnostics.add('not-a-boolean', ownRange(node));
      return;
    case 'integer':
      checkInteger(node, shape, context);
      return;
    case 'choice':
      checkChoice(node, shape.values, context);
  }
}

/** Aliases are followed: what is still one has no anchor. Reports it. */
function isUnknownAlias(node: Node, { diagnostics }: ShapeContext): boolean {
  if (!isAlias(node)) return false;
  diagnostics.add('yaml-syntax', ownRange(node), `there is no anchor &${node.source} before this alias`);
  return true;
}

/** Entries of a map; reports if it is none, and keys that come twice. */
function uniqueEntries(node: Node, { nodes, diagnostics }: ShapeContext): readonly Entry[] {
  const entries = nodes.entries(node);
  if (entries === null) {
    diagnostics.add('not-a-map', firstCharacter(node));
    return [];
  }
  const seen = new Set<string>();
  return entries.filter(({ key, keyRange }) => {
    if (seen.has(key)) diagnostics.add('yaml-syntax', firstOf(keyRange), `key "${key}" comes twice in this map`);
    return !seen.has(key) && seen.add(key);
  });
}

function firstOf({ start }: Range): Range {
  return { start, end: start + 1 };
}

function checkMap(node: Node, shape: MapShape, context: ShapeContext): void {
  const entries = uniqueEntries(node, context);
  const { diagnostics } = context;
  if (context.nodes.entries(node) === null) return;
  const known = Object.keys(shape.keys);
  const missing = new Set((shape.required ?? []).filter((key) => !entries.some((entry) => entry.key === key)));
  for (const { key, keyRange, value } of entries) {
    const valueShape = Object.hasOwn(shape.keys, key) ? shape.keys[key] : undefined;
    if (valueShape !== undefined) checkShape(value, valueShape, context);
    else {
      const meant = closestName(key, known);
      // One mistake, one report: the key that is missing is the one that is misspelt.
      if (meant !== undefined) missing.delete(meant);
      diagnostics.add('unknown-key', keyRange, key, {
        hint: didYouMean(key, known) ?? `The keys here are ${known.join(', ')}.`,
      });
    }
  }
  for (const key of missing) diagnostics.add('missing-key', firstCharacter(node), key);
}

function checkSqlList(node: Node, context: ShapeContext): void {
  const items = context.nodes.items(node);
  if (items === null) context.diagnostics.add('not-a-list', firstCharacter(node));
  for (const item of items ?? []) {
    if (!isUnknownAlias(item, context) && !isScalar(item)) context.diagnostics.add('not-a-string', wholeRange(item));
  }
}

function checkInteger(node: Node, shape: Extract<Shape, { type: 'integer' }>, { diagnostics }: ShapeContext): void {
  const value = scalarValue(node);
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = shape;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return;
  const hint =
    shape.min === undefined
      ? 'Write an integer without quotes.'
      : `Write an integer from ${min} to ${max}, without quotes.`;
  diagnostics.add('wrong-value', firstCharacter(node), '', { hint });
}

function checkChoice(node: Node, values: readonly string[], { diagnostics }: ShapeContext): void {
  const value = scalarValue(node);
  if (typeof value === 'string' && values.includes(value)) return;
  const hint =
    (typeof value === 'string' ? didYouMean(value, values) : undefined) ?? `Write one of ${values.join(', ')}.`;
  diagnostics.add('wrong-value', ownRange(node), '', { hint });
}

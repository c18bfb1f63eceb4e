/** Read access to YAML nodes with their places; aliases are followed, and what is looked at is counted. */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Scalar } from 'yaml';
import type { SqlScalar } from '../document.ts';
import type { Range } from '../sql/ast.ts';
import { NODES_MAX } from './limits.ts';
import { scalarText } from './scalar-text.ts';

export interface Entry {
  readonly key: string;
  readonly keyRange: Range;
  readonly value: Node;
}

/** Thrown by `Nodes` beyond `NODES_MAX`; caught where the document is read. */
export class TooManyNodes extends Error {}

export class Nodes {
  readonly #text: string;
  readonly #document: Document;
  #seen = 0;

  constructor(text: string, document: Document) {
    this.#text = text;
    this.#document = document;
  }

  get root(): Node | null {
    return this.#document.contents === null ? null : this.#follow(this.#document.contents);
  }

  /** Entries of a map in order, with keys that are no texts as their source; null if the node is no map. */
  entries(node: Node): Entry[] | null {
    if (!isMap(node)) return null;
    return node.items.map((pair) => {
      const key = pair.key as Node;
      const value = pair.value as Node | null;
      const keyRange = ownRange(key);
      const name =
        isScalar(key) && typeof key.value === 'string' ? key.value : this.#text.slice(keyRange.start, keyRange.end);
      return {
        key: name,
        keyRange,
        value: value === null ? missingValue(this.#document, keyRange) : this.#follow(value),
      };
    });
  }

  /** Items of a list; null if the node is none. */
  items(node: Node): Node[] | null {
    return isSeq(node) ? node.items.map((item) => this.#follow(item as Node)) : null;
  }

  /** A scalar as SQL, whatever YAML made of it; null if the node is no scalar. */
  sql(node: Node): SqlScalar | null {
    if (!isScalar(node)) return null;
    const { start, end } = ownRange(node);
    const sql = typeof node.value === 'string' ? node.value : (node.source ?? '');
    const decoded = scalarText(this.#text, { style: node.type ?? 'PLAIN', start, end }, sql);
    if (decoded === null || decoded.text === '') {
      const range = { start, end };
      return { sql, range, toDocument: () => range };
    }
    const { starts, ends } = decoded;
    const place = (offset: number): number => starts[offset] ?? ends.at(-1) ?? end;
    const toDocument = (range: Range): Range => {
      const from = place(range.start);
      return { start: from, end: range.end > range.start ? (ends[range.end - 1] ?? end) : from };
    };
    return { sql, range: toDocument({ start: 0, end: sql.trimEnd().length }), toDocument };
  }

  #follow(node: Node): Node {
    if (++this.#seen > NODES_MAX) throw new TooManyNodes();
    if (!isAlias(node)) return node;
    return node.resolve(this.#document) ?? node;
  }
}

function missingValue(document: Document, after: Range): Scalar {
  const scalar = document.createNode(null);
  scalar.range = [after.end, after.end, after.end];
  return scalar;
}

/** The node alone. */
export function ownRange(node: Node): Range {
  const [start, end] = node.range ?? [0, 0];
  return { start, end };
}

/** The node and what follows it up to the next node: comments, line breaks. */
export function wholeRange(node: Node): Range {
  const [start, , end] = node.range ?? [0, 0, 0];
  return { start, end };
}

/** The first character of a node: enough to find it, and all that is told apart for most mistakes. */
export function firstCharacter(node: Node): Range {
  const { start } = ownRange(node);
  return { start, end: start + 1 };
}

/** The plain value of a scalar; undefined for maps and lists. */
export function scalarValue(node: Node): unknown {
  return isScalar(node) ? node.value : undefined;
}

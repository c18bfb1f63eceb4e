/** YAML text to a `RulesDocument`: structure checked, SQL texts with the place of each character, no SQL parsed. */
import { isScalar, type Node, parseDocument } from 'yaml';
import { editionDefaults } from '../compatibility.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type {
  BucketDefinitionSource,
  CteSource,
  EventSource,
  RulesDocument,
  SqlScalar,
  StreamSource,
} from '../document.ts';
import { checkShape, type ShapeContext } from './check-shape.ts';
import { DOCUMENT_LENGTH_MAX, isTooComplex } from './limits.ts';
import { type Entry, Nodes, ownRange, scalarValue, TooManyNodes, wholeRange } from './nodes.ts';
import { readConfig } from './read-config.ts';
import { documentNeedsOneOf, documentShape } from './shape.ts';

/** Written before a parameter query, this tag has the effect of the key of the same name. */
const ACCEPT_TAG = '!accept_potentially_dangerous_queries';
const SYNTAX_ERRORS_MAX = 20;

/** @returns what can be read, whatever is wrong elsewhere; null if it is no YAML, or no map */
export function readDocument(text: string, diagnostics: Diagnostics): RulesDocument | null {
  const whole = { start: 0, end: text.length };
  if (text.length > DOCUMENT_LENGTH_MAX) {
    diagnostics.add('yaml-too-large', whole);
    return null;
  }
  if (isTooComplex(text)) {
    diagnostics.add('yaml-too-complex', whole);
    return null;
  }
  const yaml = parseDocument(text, { version: '1.2', uniqueKeys: false, prettyErrors: false, logLevel: 'error' });
  for (const { pos, message } of yaml.errors.slice(0, SYNTAX_ERRORS_MAX)) {
    diagnostics.add('yaml-syntax', { start: pos[0], end: pos[1] }, message);
  }
  if (yaml.errors.length > 0) return null;
  try {
    const nodes = new Nodes(text, yaml);
    return new DocumentReader({ nodes, diagnostics }).read(nodes.root, whole);
  } catch (error) {
    if (!(error instanceof TooManyNodes)) throw error;
    diagnostics.add('yaml-too-complex', whole);
    return null;
  }
}

class DocumentReader {
  readonly #context: ShapeContext;

  constructor(context: ShapeContext) {
    this.#context = context;
  }

  read(root: Node | null, whole: { start: number; end: number }): RulesDocument | null {
    const { diagnostics, nodes } = this.#context;
    const entries = root === null ? null : nodes.entries(root);
    if (root === null || entries === null) {
      const empty = root === null || scalarValue(root) === null;
      diagnostics.add(empty ? 'document-empty' : 'not-a-map', root === null ? whole : ownRange(root));
      return null;
    }
    checkShape(root, documentShape, this.#context);
    const find = (key: string): Entry | undefined => entries.find((entry) => entry.key === key);
    if (!documentNeedsOneOf.some((key) => find(key) !== undefined)) diagnostics.add('document-empty', whole);
    const config = find('config');
    const document: RulesDocument = {
      compatibility: config === undefined ? editionDefaults(1) : readConfig(config.value, this.#context),
      bucketDefinitions: this.#entries(find('bucket_definitions')).flatMap((entry) => this.#bucketDefinition(entry)),
      streams: this.#entries(find('streams')).flatMap((entry) => this.#stream(entry)),
      ctes: this.#ctes(find('with')),
      events: this.#entries(find('event_definitions')).flatMap((entry) => this.#event(entry)),
    };
    return this.#fitToEdition(document, find);
  }

  #entries(entry: Entry | undefined): readonly Entry[] {
    return (entry === undefined ? null : this.#context.nodes.entries(entry.value)) ?? [];
  }

  #finder(entry: Entry): (key: string) => Entry | undefined {
    const entries = this.#entries(entry);
    return (key) => entries.find((candidate) => candidate.key === key);
  }

  #sqlList(entry: Entry | undefined): SqlScalar[] {
    const items = (entry === undefined ? null : this.#context.nodes.items(entry.value)) ?? [];
    return items.flatMap((item) => this.#context.nodes.sql(item) ?? []);
  }

  #bucketDefinition(entry: Entry): BucketDefinitionSource[] {
    const find = this.#finder(entry);
    const data = find('data');
    if (data === undefined) return [];
    const parameters = find('parameters');
    const tagged = parameters !== undefined && tagsOf(this.#context, parameters.value).includes(ACCEPT_TAG);
    return [
      {
        name: entry.key,
        keyRange: entry.keyRange,
        parameters: parameters === undefined ? null : this.#parameters(parameters),
        data: this.#sqlList(data),
        priority: priorityOf(find('priority')),
        acceptDangerous: tagged || isTrue(find('accept_potentially_dangerous_queries')),
      },
    ];
  }

  #parameters(entry: Entry): SqlScalar[] {
    const single = this.#context.nodes.sql(entry.value);
    return single === null ? this.#sqlList(entry) : [single];
  }

  #stream(entry: Entry): StreamSource[] {
    if (this.#context.nodes.entries(entry.value) === null) return [];
    const find = this.#finder(entry);
    const query = find('query');
    const queries = find('queries');
    const { diagnostics, nodes } = this.#context;
    if ((query === undefined) === (queries === undefined)) {
      diagnostics.add('query-or-queries', wholeRange(entry.value));
      return [];
    }
    const single = query === undefined ? null : nodes.sql(query.value);
    return [
      {
        name: entry.key,
        keyRange: entry.keyRange,
        queries: single === null ? this.#sqlList(queries) : [single],
        ctes: this.#ctes(find('with')),
        autoSubscribe: isTrue(find('auto_subscribe')),
        priority: priorityOf(find('priority')),
        acceptDangerous: isTrue(find('accept_potentially_dangerous_queries')),
      },
    ];
  }

  #ctes(entry: Entry | undefined): CteSource[] {
    return this.#entries(entry).flatMap(({ key, keyRange, value }) => {
      const sql = this.#context.nodes.sql(value);
      return sql === null ? [] : [{ name: key, keyRange, sql }];
    });
  }

  #event(entry: Entry): EventSource[] {
    return [{ name: entry.key, payloads: this.#sqlList(this.#finder(entry)('payloads')) }];
  }

  /** Reports what the edition does not have, and leaves it out. */
  #fitToEdition(document: RulesDocument, find: (key: string) => Entry | undefined): RulesDocument {
    const { diagnostics } = this.#context;
    const { edition } = document.compatibility;
    if (!this.#editionIsKnown(find('config'))) return document;
    const [definitions, streams, ctes] = [find('bucket_definitions'), find('streams'), find('with')];
    if (edition === 3) {
      if (definitions !== undefined)
        diagnostics.add('needs-edition', wholeRange(definitions.value), 'bucket_definitions');
      if (streams === undefined && definitions !== undefined)
        diagnostics.add('missing-key', definitions.keyRange, 'streams');
      return { ...document, bucketDefinitions: [] };
    }
    if (streams !== undefined) diagnostics.add('old-edition', wholeRange(streams.value));
    if (ctes !== undefined) diagnostics.add('needs-edition', wholeRange(ctes.value), 'with');
    for (const stream of this.#entries(streams)) this.#checkOldStream(stream);
    const taken = new Set(document.bucketDefinitions.map(({ name }) => name));
    for (const { name, keyRange } of document.streams) {
      if (taken.has(name)) diagnostics.add('duplicate-name', keyRange, name);
    }
    if (edition === 2) return { ...document, ctes: [] };
    for (const { range } of document.streams.flatMap(({ queries }) => queries)) {
      diagnostics.add('needs-edition', range, 'streams need edition 2 or 3');
    }
    return { ...document, streams: [], ctes: [] };
  }

  /** An edition that does not exist has been reported; what another one would not have is no second mistake. */
  #editionIsKnown(config: Entry | undefined): boolean {
    const edition = config === undefined ? undefined : this.#finder(config)('edition');
    return edition === undefined || [1, 2, 3].includes(scalarValue(edition.value) as number);
  }

  #checkOldStream(stream: Entry): void {
    for (const key of ['queries', 'with']) {
      const entry = this.#finder(stream)(key);
      if (entry !== undefined) this.#context.diagnostics.add('needs-edition', wholeRange(entry.value), key);
    }
  }
}

function tagsOf({ nodes }: ShapeContext, node: Node): string[] {
  return [node, ...(nodes.items(node) ?? [])].flatMap(({ tag }) => tag ?? []);
}

function isTrue(entry: Entry | undefined): boolean {
  return entry !== undefined && scalarValue(entry.value) === true;
}

function priorityOf(entry: Entry | undefined): number | null {
  const value = entry !== undefined && isScalar(entry.value) ? entry.value.value : null;
  return typeof value === 'number' ? value : null;
}

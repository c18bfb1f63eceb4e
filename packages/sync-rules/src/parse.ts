/** The way into the package: YAML text to compiled rules, or to what is wrong with it. */
import type { Diagnostic, ParsedRules, ParseOptions } from './api.ts';
import { readBucketDefinition } from './bucket-definitions/bucket-definition.ts';
import { checkEventQuery } from './bucket-definitions/event-query.ts';
import type { CompileContext, Definition } from './definition.ts';
import { Diagnostics } from './diagnostics.ts';
import type { RulesDocument } from './document.ts';
import { CompiledRules } from './rules.ts';
import { readStreams } from './streams/read-streams.ts';
import { readDocument } from './yaml/read-document.ts';

/** Throws nothing for what the text says: every problem is a diagnostic with its place. */
export function parseSyncRules(text: string, options: ParseOptions): ParsedRules {
  const { diagnostics, document, definitions, usable } = compileDocument(text, options);
  const rules = usable && document !== null ? new CompiledRules(definitions, document.compatibility) : null;
  return { diagnostics, rules };
}

export interface CompiledDocument {
  readonly diagnostics: readonly Diagnostic[];
  readonly document: RulesDocument | null;
  readonly definitions: readonly Definition[];
  /** Without a fatal diagnostic. */
  readonly usable: boolean;
}

export function compileDocument(text: string, options: ParseOptions): CompiledDocument {
  const diagnostics = new Diagnostics(text);
  const document = readDocument(text, diagnostics);
  const definitions = document === null ? [] : readDefinitions(document, contextOf(document, options, diagnostics));
  return { diagnostics: diagnostics.found, document, definitions, usable: document !== null && !diagnostics.hasFatal };
}

function contextOf(document: RulesDocument, options: ParseOptions, diagnostics: Diagnostics): CompileContext {
  const { compatibility } = document;
  const bucketPrefix = options.bucketPrefix ?? '';
  return {
    compatibility,
    defaultSchema: options.defaultSchema,
    bucketPrefix,
    schema: options.schema ?? null,
    diagnostics,
  };
}

function readDefinitions(document: RulesDocument, context: CompileContext): Definition[] {
  for (const payload of document.events.flatMap(({ payloads }) => payloads)) checkEventQuery(payload, context);
  return [
    ...document.bucketDefinitions.flatMap((source) => readBucketDefinition(source, context) ?? []),
    ...readStreams(document, context),
  ];
}

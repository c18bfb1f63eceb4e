/** Sync rules, compiled the same way everywhere: by the replicator, by the server and by `validate`. */
import { type StreamId, SluiceError } from '@sluice/core';
import type { StreamInfo } from '@sluice/storage';
import {
  type ClientSchemaResult,
  clientSchema,
  type Diagnostic,
  type ParsedRules,
  type ParseOptions,
  parseSyncRules,
  type SourceSchema,
  type SyncRules,
} from '@sluice/sync-rules';

const DEFAULT_SCHEMA = 'public';

/** @param schema of the source, where known: unknown tables and columns become warnings */
export function parseRules(text: string, schema: SourceSchema | null = null): ParsedRules {
  return parseSyncRules(text, parseOptions(schema));
}

export function clientSchemaOf(text: string, schema: SourceSchema | null): ClientSchemaResult {
  return clientSchema(text, parseOptions(schema));
}

function parseOptions(schema: SourceSchema | null): ParseOptions {
  return { defaultSchema: DEFAULT_SCHEMA, ...(schema === null ? {} : { schema }) };
}

/** Buckets of two streams never share a name: a client's position in one would mean nothing in the other. */
function bucketPrefix(stream: StreamId): string {
  return `${stream}#`;
}

/** @throws PSYNC_R0001 */
export function compileStreamRules(stream: StreamInfo): SyncRules {
  const options = { defaultSchema: DEFAULT_SCHEMA, bucketPrefix: bucketPrefix(stream.id) };
  return requireRules(parseSyncRules(stream.rules, options), `the rules of stream ${stream.id}`);
}

/**
 * @param name what to call the text in messages
 * @throws PSYNC_R0001 with every fatal diagnostic and its place
 */
export function requireRules(parsed: ParsedRules, name: string): SyncRules {
  if (parsed.rules !== null) return parsed.rules;
  const fatal = parsed.diagnostics.filter((each) => each.severity === 'fatal');
  const [first, ...others] = fatal.map((each) => ({ ...each, where: placeOf(each, name) }));
  const more = others.map((each) => `\n  ${each.where}: ${each.message}`).join('');
  throw new SluiceError('PSYNC_R0001', `${first?.message ?? 'the rules do not compile'}${more}`, {
    where: first?.where ?? name,
    ...(first === undefined ? {} : { hint: first.hint }),
  });
}

/** Rules that do not compile mean nothing that others could mean. */
export function meansTheSame(text: string, other: string): boolean {
  if (text === other) return true;
  const hash = parseRules(text).rules?.hash;
  return hash !== undefined && hash === parseRules(other).rules?.hash;
}

export function placeOf(diagnostic: Diagnostic, name: string): string {
  return `${name}:${diagnostic.line}:${diagnostic.column}`;
}

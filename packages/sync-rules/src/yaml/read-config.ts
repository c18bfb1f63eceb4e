/** The `config` map: an edition, and options that override what it implies. */
import type { Node } from 'yaml';
import { type Compatibility, type Edition, editionDefaults, timestampPrecisions } from '../compatibility.ts';
import type { ShapeContext } from './check-shape.ts';
import { type Entry, ownRange, scalarValue, wholeRange } from './nodes.ts';

/** @param node null if the document has no `config` */
export function readConfig(node: Node | null, context: ShapeContext): Compatibility {
  const entries = (node === null ? null : context.nodes.entries(node)) ?? [];
  const find = (key: string): Entry | undefined => entries.find((entry) => entry.key === key);
  const flag = (key: string, implied: boolean): boolean => {
    const value = scalarValueOf(find(key));
    return typeof value === 'boolean' ? value : implied;
  };
  const edition = scalarValueOf(find('edition'));
  const defaults = editionDefaults(edition === 2 || edition === 3 ? (edition satisfies Edition) : 1);
  const compatibility: Compatibility = {
    edition: defaults.edition,
    timestampsIso8601: flag('timestamps_iso8601', defaults.timestampsIso8601),
    timestampMaxPrecision:
      timestampPrecisions.find((name) => name === scalarValueOf(find('timestamp_max_precision'))) ?? null,
    versionedBucketIds: flag('versioned_bucket_ids', defaults.versionedBucketIds),
    fixedJsonExtract: flag('fixed_json_extract', defaults.fixedJsonExtract),
    customPostgresTypes: flag('custom_postgres_types', defaults.customPostgresTypes),
  };
  checkCombinations(compatibility, find, context);
  return compatibility;
}

function scalarValueOf(entry: Entry | undefined): unknown {
  return entry === undefined ? undefined : scalarValue(entry.value);
}

function checkCombinations(
  compatibility: Compatibility,
  find: (key: string) => Entry | undefined,
  { diagnostics }: ShapeContext,
): void {
  const precision = find('timestamp_max_precision');
  if (precision !== undefined && !compatibility.timestampsIso8601) {
    diagnostics.add('option-conflict', ownRange(precision.value), 'timestamp_max_precision needs timestamps_iso8601');
  }
  const engine = find('unstable_sqlite_expression_engine');
  if (engine !== undefined && scalarValue(engine.value) === true) {
    const usable = compatibility.edition === 3 && compatibility.fixedJsonExtract;
    const need = 'unstable_sqlite_expression_engine needs edition 3 and fixed_json_extract';
    if (usable) diagnostics.add('engine-ignored', engine.keyRange);
    else diagnostics.add('option-conflict', ownRange(engine.value), need);
  }
  const storage = find('storage_version');
  const version = scalarValueOf(storage);
  if (storage === undefined || typeof version !== 'number') return;
  if (version === 3) diagnostics.add('storage-version-unstable', wholeRange(storage.value));
  else if (version !== 2) diagnostics.add('wrong-value', wholeRange(storage.value), '', { hint: 'Write 2 or 3.' });
}

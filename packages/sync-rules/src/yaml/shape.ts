/**
 * The shape of a sync rules document: the one source of the validator and of the JSON schema that editors use.
 */

interface Described {
  /** One line for people, shown by editors. */
  readonly doc: string;
}

export type Shape = Described &
  (
    | { readonly type: 'map'; readonly keys: Readonly<Record<string, Shape>>; readonly required?: readonly string[] }
    /** Any keys. */
    | { readonly type: 'mapOf'; readonly values: Shape }
    | { readonly type: 'sql' }
    | { readonly type: 'sqlList' }
    | { readonly type: 'sqlOrList' }
    | { readonly type: 'boolean' }
    | { readonly type: 'integer'; readonly min?: number; readonly max?: number }
    | { readonly type: 'choice'; readonly values: readonly string[] }
  );

function option(doc: string): Shape {
  return { type: 'boolean', doc };
}

const priority: Shape = {
  type: 'integer',
  min: 0,
  max: 3,
  doc: 'Buckets of a lower number are synced first: 0 to 3, 3 if left out.',
};
const acceptDangerous = option('Do not warn that clients can choose the parameters of these queries freely.');
const ctes = (doc: string): Shape => ({
  type: 'mapOf',
  values: { type: 'sql', doc: 'A SELECT with named columns.' },
  doc,
});

const bucketDefinitionShape = {
  type: 'map',
  doc: 'Buckets made from parameter queries, and the rows in them.',
  keys: {
    parameters: {
      type: 'sqlOrList',
      doc: 'Queries that say which buckets a client gets. Left out: one bucket for all.',
    },
    data: { type: 'sqlList', doc: 'Queries that say which rows are in a bucket.' },
    priority,
    accept_potentially_dangerous_queries: acceptDangerous,
  },
  required: ['data'],
} as const satisfies Shape;

const streamShape = {
  type: 'map',
  doc: 'Rows that clients subscribe to. Exactly one of query and queries.',
  keys: {
    query: { type: 'sql', doc: 'The rows of the stream.' },
    queries: { type: 'sqlList', doc: 'Several queries whose rows make up the stream (edition 3).' },
    with: ctes('Common table expressions of this stream (edition 3).'),
    auto_subscribe: option('Clients get the stream without subscribing.'),
    priority,
    accept_potentially_dangerous_queries: acceptDangerous,
  },
} as const satisfies Shape;

const configShape = {
  type: 'map',
  doc: 'The dialect, and options that differ from what its edition implies.',
  keys: {
    edition: { type: 'integer', min: 1, max: 3, doc: 'Dialect of the rules; 1 if left out.' },
    timestamps_iso8601: option('Dates and times as ISO 8601 with T. On from edition 2.'),
    versioned_bucket_ids: option('Bucket names start with a version. On from edition 2.'),
    fixed_json_extract: option('JSON paths and JSON null as documented. On from edition 2.'),
    custom_postgres_types: option('Domains, composites and ranges are decoded. On from edition 2.'),
    unstable_sqlite_expression_engine: option('Accepted for compatibility; needs edition 3 and fixed_json_extract.'),
    timestamp_max_precision: {
      type: 'choice',
      values: ['seconds', 'milliseconds', 'microseconds', 'nanoseconds'],
      doc: 'Digits of fractional seconds. Needs timestamps_iso8601.',
    },
    storage_version: { type: 'integer', doc: 'Accepted for compatibility: 2 or 3.' },
  },
} as const satisfies Shape;

const eventShape = {
  type: 'map',
  doc: 'Rows that trigger an event when they change; they are not synced.',
  keys: { payloads: { type: 'sqlList', doc: 'One query a table.' } },
  required: ['payloads'],
} as const satisfies Shape;

export const documentShape = {
  type: 'map',
  doc: 'Sync rules: which rows belong to which bucket, and which client gets which bucket.',
  keys: {
    config: configShape,
    bucket_definitions: {
      type: 'mapOf',
      values: bucketDefinitionShape,
      doc: 'Bucket definitions by name (editions 1 and 2).',
    },
    streams: { type: 'mapOf', values: streamShape, doc: 'Streams by name (editions 2 and 3).' },
    with: ctes('Common table expressions for all streams (edition 3).'),
    event_definitions: { type: 'mapOf', values: eventShape, doc: 'Event definitions by name.' },
  },
} as const satisfies Shape;

/** At least one of these keys must be there. */
export const documentNeedsOneOf = ['bucket_definitions', 'streams'] as const;

/**
 * The wire vocabulary: what a client asks, and the lines it is sent. Validators are written by hand, because their
 * messages are read by people: every refusal names the field by its path.
 */
import { type BucketName, type OpId, SluiceError } from '@sluice/core';
import type { OpSlice } from '@sluice/storage';
import type { Subscription } from '@sluice/sync-rules';

/** A validated body of `POST /sync/stream`. */
export interface SyncStreamRequest {
  /** What the client holds already: send only ops with greater ids. Names are untrusted. */
  readonly buckets: ReadonlyMap<BucketName, OpId>;
  /** Whether `data` of an op stays JSON text in NDJSON responses. */
  readonly rawData: boolean;
  /** Client parameters, untrusted. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly appMetadata: Readonly<Record<string, string>> | null;
  readonly clientId: string | null;
  readonly includeDefaults: boolean;
  readonly subscriptions: readonly Subscription[];
}

/** Why a client has a bucket: as a default (index into the line's `streams`), or by a subscription of its request. */
export type BucketReason = { readonly default: number } | { readonly sub: number };

export interface BucketEntry {
  readonly bucket: BucketName;
  readonly checksum: number;
  readonly count: number;
  readonly priority: number;
  readonly subscriptions: readonly BucketReason[];
}

export interface StreamEntry {
  readonly name: string;
  readonly is_default: boolean;
  readonly errors: readonly { readonly subscription: number | 'default'; readonly message: string }[];
}

export interface CheckpointLine {
  readonly checkpoint: {
    readonly last_op_id: string;
    readonly write_checkpoint?: string;
    readonly buckets: readonly BucketEntry[];
    readonly streams: readonly StreamEntry[];
  };
}

export interface CheckpointDiffLine {
  readonly checkpoint_diff: {
    readonly last_op_id: string;
    readonly write_checkpoint?: string;
    readonly updated_buckets: readonly BucketEntry[];
    readonly removed_buckets: readonly BucketName[];
  };
}

/** Ops of one bucket as storage gave them; the encoders turn them into the line's bytes. */
export interface DataChunk {
  readonly bucket: BucketName;
  readonly after: OpId;
  readonly nextAfter: OpId;
  readonly hasMore: boolean;
  readonly slices: readonly OpSlice[];
}

/** Lines that are sent as they are. */
export type ControlLine =
  | CheckpointLine
  | CheckpointDiffLine
  | { readonly checkpoint_complete: { readonly last_op_id: string } }
  | { readonly partial_checkpoint_complete: { readonly last_op_id: string; readonly priority: number } }
  | { readonly token_expires_in: number };

export type Line = ControlLine | { readonly data: DataChunk };

const POSITION = /^\d{1,19}$/;

/** @throws PSYNC_S2001 naming the field */
export function parseSyncStreamRequest(body: unknown): SyncStreamRequest {
  const request = record(body, 'body');
  const streams = optional(request.streams, (value) => record(value, 'streams'));
  return {
    buckets: parseBuckets(request.buckets ?? []),
    rawData: optional(request.raw_data, (value) => boolean(value, 'raw_data')) ?? false,
    parameters: optional(request.parameters, (value) => record(value, 'parameters')) ?? {},
    appMetadata: optional(request.app_metadata, parseAppMetadata),
    clientId: optional(request.client_id, (value) => text(value, 'client_id')),
    includeDefaults: optional(streams?.include_defaults, (value) => boolean(value, 'streams.include_defaults')) ?? true,
    subscriptions: streams === null ? [] : list(streams.subscriptions, 'streams.subscriptions').map(parseSubscription),
  };
}

function parseBuckets(value: unknown): Map<BucketName, OpId> {
  const positions = new Map<BucketName, OpId>();
  for (const [index, item] of list(value, 'buckets').entries()) {
    const bucket = record(item, `buckets[${index}]`);
    const name = text(bucket.name, `buckets[${index}].name`);
    const after = text(bucket.after, `buckets[${index}].after`);
    if (!POSITION.test(after)) throw invalid(`buckets[${index}].after`, 'must be a decimal op id');
    // Positions beyond 2^53 cannot be ours. Clamped, they still mean "behind everything".
    positions.set(name, Math.min(Number(after), Number.MAX_SAFE_INTEGER));
  }
  return positions;
}

function parseAppMetadata(value: unknown): Record<string, string> {
  const metadata = record(value, 'app_metadata');
  return Object.fromEntries(Object.entries(metadata).map(([key, item]) => [key, text(item, `app_metadata.${key}`)]));
}

function parseSubscription(value: unknown, index: number): Subscription {
  const path = `streams.subscriptions[${index}]`;
  const subscription = record(value, path);
  return {
    stream: text(subscription.stream, `${path}.stream`),
    parameters: optional(subscription.parameters, (item) => record(item, `${path}.parameters`)),
    overridePriority: optional(subscription.override_priority, (item) => priority(item, `${path}.override_priority`)),
  };
}

/** A validated body of `POST /sync/checkpoint-request`. */
export interface CheckpointRequest {
  readonly clientId: string;
  readonly id: bigint;
}

const INT64_MAX = 2n ** 63n - 1n;

/** @throws PSYNC_S2001 naming the field */
export function parseCheckpointRequest(body: unknown): CheckpointRequest {
  const request = record(body, 'body');
  return {
    clientId: text(request.client_id, 'client_id'),
    id: requestId(request.checkpoint_request_id, 'checkpoint_request_id'),
  };
}

function requestId(value: unknown, path: string): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw invalid(path, 'a number must be a safe integer; send larger ids as text');
  }
  if (typeof value !== 'number' && (typeof value !== 'string' || !/^-?\d{1,20}$/.test(value))) {
    throw invalid(path, `must be an integer, as text or number, not ${kindOf(value)}`);
  }
  const id = BigInt(value);
  if (id < 1n || id > INT64_MAX) throw invalid(path, 'must be between 1 and 9223372036854775807');
  return id;
}

function optional<T>(value: unknown, parse: (value: unknown) => T): T | null {
  return value === undefined || value === null ? null : parse(value);
}

function record(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(path, `must be an object, not ${kindOf(value)}`);
  }
  return value as Record<string, unknown>;
}

function list(value: unknown, path: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(path, `must be a list, not ${kindOf(value)}`);
  return value;
}

function text(value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalid(path, `must be text, not ${kindOf(value)}`);
  return value;
}

function boolean(value: unknown, path: string): boolean {
  if (typeof value !== 'boolean') throw invalid(path, `must be true or false, not ${kindOf(value)}`);
  return value;
}

function priority(value: unknown, path: string): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 3) {
    throw invalid(path, 'must be 0, 1, 2 or 3');
  }
  return value as number;
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'absent';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function invalid(path: string, problem: string): SluiceError {
  return new SluiceError('PSYNC_S2001', `${path}: ${problem}`, { where: path });
}

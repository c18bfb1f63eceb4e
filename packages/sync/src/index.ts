export { DownloadShare } from './download-share.ts';
export { BSON_CONTENT_TYPE } from './bson.ts';
export { bsonFormat, type EncodedLine, LineEncoder, type LineFormat, ndjsonFormat } from './line-encoder.ts';
export type { MembershipLimits } from './membership.ts';
export {
  type CheckpointRequest,
  type Line,
  parseCheckpointRequest,
  parseSyncStreamRequest,
  type SyncStreamRequest,
} from './protocol.ts';
export { type ServedVersion, ServedVersions } from './served-version.ts';
export { NDJSON_CONTENT_TYPE } from './ndjson.ts';
export { requireVersion, type Session, type StreamContext, streamLines } from './stream.ts';
export { type MarkHead, WriteCheckpoints, writeCheckpointUser } from './write-checkpoints.ts';

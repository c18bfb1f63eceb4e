export { BSON_CONTENT_TYPE, encodeBsonLine } from './bson.ts';
export { DownloadShare } from './download-share.ts';
export type { MembershipLimits } from './membership.ts';
export { encodeNdjsonLine, NDJSON_CONTENT_TYPE } from './ndjson.ts';
export {
  type CheckpointRequest,
  type Line,
  parseCheckpointRequest,
  parseSyncStreamRequest,
  type SyncStreamRequest,
} from './protocol.ts';
export { type ServedVersion, ServedVersions } from './served-version.ts';
export { requireVersion, type Session, type StreamContext, streamLines } from './stream.ts';
export { type MarkHead, WriteCheckpoints, writeCheckpointUser } from './write-checkpoints.ts';

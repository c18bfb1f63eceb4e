export { invariant, unreachable } from './assert.ts';
export { ByteRows } from './byte-rows.ts';
export { ByteSlab } from './byte-slab.ts';
export { ByteSpace, copyBytes, copyEscaped, escapedLength } from './byte-space.ts';
export type {
  Column,
  DeleteChange,
  InsertChange,
  RawRow,
  RawValue,
  Relation,
  ReplicaIdentity,
  RowChange,
  StreamEvent,
  TruncateChange,
  UpdateChange,
} from './change.ts';
export type { Checkpoint } from './checkpoint.ts';
export { type Clock, nextSlice, nextTurn, type Random, systemClock, systemRandom } from './clock.ts';
export type { ColumnType, CustomType } from './column-type.ts';
export { type ErrorCode, errorCodes } from './error-codes.ts';
export { asSluiceError, type ErrorAction, type ErrorDetails, SluiceError } from './errors.ts';
export { type Failpoint, failpointNames, type Failpoints, noFailpoints } from './failpoints.ts';
export type { BucketName, OpId, RecordKey, StreamId, TableId } from './ids.ts';
export { Latest } from './latest.ts';
export { LentBuffers } from './lent-buffers.ts';
export { limits } from './limits.ts';
export { type Logger, type LogFields, silentLogger } from './logger.ts';
export { type DecodedOp, decodeOp, type OpDraft, type OpKind, putOp, removeOp } from './op.ts';
export { OpSlab, putHead } from './op-slab.ts';
export { BEFORE_ALL, maxPosition, type Position } from './position.ts';
export { RECORD_KEY_BYTES_MAX, recordKey } from './record-key.ts';
export {
  type AddressPart,
  type AddressRules,
  type ServerAddress,
  serverAddress,
  type ServerKeys,
} from './server-address.ts';
export { readUtf8, writeText } from './text-bytes.ts';

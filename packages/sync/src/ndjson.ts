/** Lines as newline-delimited JSON: for readers without BSON, for `curl`, and for old clients. */
import { decodeOp } from '@sluice/core';
import type { DataChunk, Line } from './protocol.ts';

export const NDJSON_CONTENT_TYPE = 'application/x-ndjson';

/** @param rawData whether `data` stays JSON text; if not, it is embedded, byte for byte, as old clients expect it */
export function encodeNdjsonLine(line: Line, rawData: boolean): Buffer {
  return Buffer.from('data' in line ? dataLine(line.data, rawData) : `${JSON.stringify(line)}\n`);
}

function dataLine(chunk: DataChunk, rawData: boolean): string {
  const ops = chunk.opIds.map((opId, index) => opText(opId, chunk.bodies[index] as Uint8Array, rawData));
  return (
    `{"data":{"bucket":${JSON.stringify(chunk.bucket)},"after":"${chunk.after}","has_more":${chunk.hasMore},` +
    `"data":[${ops.join(',')}],"next_after":"${chunk.nextAfter}"}}\n`
  );
}

function opText(opId: number, body: Uint8Array, rawData: boolean): string {
  const op = decodeOp(body);
  let json = `{"op_id":"${opId}","op":"${op.op}"`;
  if (op.objectType !== undefined) json += `,"object_type":${JSON.stringify(op.objectType)}`;
  if (op.objectId !== undefined) json += `,"object_id":${JSON.stringify(op.objectId)}`;
  if (op.subkey !== undefined) json += `,"subkey":${JSON.stringify(op.subkey)}`;
  json += `,"checksum":${op.checksum}`;
  if (op.data !== undefined) json += `,"data":${rawData ? JSON.stringify(op.data) : op.data}`;
  return `${json}}`;
}

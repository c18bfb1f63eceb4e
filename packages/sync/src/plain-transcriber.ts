/** What op-transcriber.ts does, op by op and ten times slower, for machines that cannot run its program. */
import { decodeOp } from '@sluice/core';
import { eachOp, type OpSlice } from '@sluice/storage';
import type { LineBuffer } from './line-buffer.ts';

export const plainTranscriber = {
  put(line: LineBuffer, slice: OpSlice, rawData: boolean): void {
    const text = [...eachOp([slice])].map(({ opId, body }) => opText(String(opId), body, rawData)).join();
    line.reserve(3 * text.length);
    line.text(text);
  },
};

function opText(op_id: string, body: Uint8Array, rawData: boolean): string {
  const { op, objectType: object_type, checksum, objectId: object_id, subkey, data } = decodeOp(body);
  const members = { op, object_type, op_id, checksum, object_id, subkey };
  if (rawData || data === undefined) return JSON.stringify({ ...members, data });
  return `${JSON.stringify(members).slice(0, -1)},"data":${data}}`;
}

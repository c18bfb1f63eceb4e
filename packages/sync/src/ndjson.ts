/**
 * Lines as newline-delimited JSON: for readers without BSON, for `curl`, and for old clients. Op bodies are BSON elements
 * of two kinds, numbers and strings, under the names that JSON readers know them by: a data line is transcribed, and no
 * text is decoded on the way.
 */
import type { LineBuffer } from './line-buffer.ts';
import { openOpTranscriber } from './op-transcriber.ts';
import type { ControlLine, DataChunk } from './protocol.ts';

export const NDJSON_CONTENT_TYPE = 'application/x-ndjson';

export function encodeNdjsonControl(line: ControlLine): Uint8Array {
  return Buffer.from(`${JSON.stringify(line)}\n`);
}

const COMMA = 0x2c;

const transcriber = openOpTranscriber();

/** @param rawData whether `data` stays JSON text; if not, it is embedded, byte for byte, as old clients expect it */
export function putNdjsonData(chunk: DataChunk, line: LineBuffer, rawData: boolean): void {
  const { bucket, after, hasMore, slices, nextAfter } = chunk;
  putText(line, `{"data":{"bucket":${JSON.stringify(bucket)},"after":"${after}","has_more":${hasMore},"data":[`);
  for (const [index, slice] of slices.entries()) {
    line.reserve(1);
    if (index > 0) line.byte(COMMA);
    transcriber.put(line, slice, rawData);
  }
  putText(line, `],"next_after":"${nextAfter}"}}\n`);
}

function putText(line: LineBuffer, text: string): void {
  line.reserve(3 * text.length);
  line.text(text);
}

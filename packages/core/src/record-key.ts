/**
 * The identity of a source row inside its table, as text. Injective over the key columns' values, never longer than
 * `RECORD_KEY_BYTES_MAX` bytes of UTF-8, and stable for ever: clients keep it as part of the subkey.
 */
import { createHash } from 'node:crypto';
import type { RawRow } from './change.ts';
import { SluiceError } from './errors.ts';

export const RECORD_KEY_BYTES_MAX = 256;

const SEPARATOR = '\u001f';
const SEPARATOR_CODE = SEPARATOR.charCodeAt(0);
const BACKSLASH = 0x5c;
const NULL_MARK = '\\0';

/**
 * @param row values in column order
 * @param keyColumns positions of the key columns, in key order; at least one
 * @throws SLU_R1102 if a key column was not sent by the source
 */
export function recordKey(row: RawRow, keyColumns: readonly number[]): string {
  if (keyColumns.length === 1) {
    const value = row[keyColumns[0] as number];
    if (typeof value === 'string' && value.length <= 64 && !needsEscape(value)) return value;
  }
  return bounded(keyColumns.map((column) => part(row[column])).join(SEPARATOR));
}

function needsEscape(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code === BACKSLASH || code === SEPARATOR_CODE) return true;
  }
  return value.startsWith('sha256:');
}

function part(value: RawRow[number]): string {
  if (value === undefined) throw new SluiceError('SLU_R1102', 'a key column was not sent by the source');
  if (value === null) return NULL_MARK;
  const escaped = value.replaceAll('\\', '\\\\').replaceAll(SEPARATOR, '\\u');
  return escaped.startsWith('sha256:') ? `\\s${escaped}` : escaped;
}

function bounded(key: string): string {
  if (Buffer.byteLength(key) <= RECORD_KEY_BYTES_MAX) return key;
  return `sha256:${createHash('sha256').update(key).digest('base64url')}`;
}

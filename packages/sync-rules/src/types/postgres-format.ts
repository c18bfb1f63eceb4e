import type { RawValue } from '@sluice/core';
import type { Compatibility } from '../compatibility.ts';
import type { CellFormat } from '../text-rows.ts';
import { idText } from '../value.ts';
import { PostgresTypes } from './postgres.ts';
import { typeOptions } from './source-type.ts';

/** Rows as a Postgres source sends them. */
export function postgresFormat(compatibility: Compatibility): CellFormat<RawValue> {
  const types = new PostgresTypes(typeOptions(compatibility));
  return {
    reader: (column) => {
      const { read } = types.type(column);
      return (raw) => (typeof raw === 'string' ? read(raw) : raw);
    },
    idReader: (column) => {
      const type = types.type(column);
      if (type.isOwnText) return (raw) => raw ?? '';
      return (raw) => (typeof raw === 'string' ? idText(type.read(raw)) : '');
    },
    jsonWriter: (column) => {
      const { json } = types.type(column);
      return (raw) => (typeof raw === 'string' ? json(raw) : raw === null ? 'null' : undefined);
    },
  };
}

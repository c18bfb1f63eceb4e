import type { RawValue } from '@sluice/core';
import type { Compatibility } from '../compatibility.ts';
import type { RowFormat } from '../row-format.ts';
import { PostgresTypes } from './postgres.ts';
import { typeOptions } from './source-type.ts';

/** Rows as a Postgres source sends them. */
export function postgresFormat(compatibility: Compatibility): RowFormat<RawValue> {
  const types = new PostgresTypes(typeOptions(compatibility));
  return {
    reader: (column) => {
      const { read } = types.type(column);
      return (raw) => (typeof raw === 'string' ? read(raw) : raw);
    },
    jsonWriter: (column) => {
      const { json } = types.type(column);
      return (raw) => (typeof raw === 'string' ? json(raw) : raw === null ? 'null' : undefined);
    },
  };
}

/** Stored tables with the rules that read them, for who copies but does not stream. */
import type { TableId } from '@sluice/core';
import type { TableState } from '@sluice/storage';
import type { SyncRules } from '@sluice/sync-rules';
import type { RowErrors } from '../tables/row-errors.ts';
import { bindTable, type TableBinding, unread } from '../tables/table-binding.ts';

export class BoundTables {
  readonly #rules: SyncRules;
  readonly #rowErrors: RowErrors;
  readonly #bindings = new Map<TableId, TableBinding>();

  constructor(rules: SyncRules, rowErrors: RowErrors) {
    this.#rules = rules;
    this.#rowErrors = rowErrors;
  }

  of(table: TableState): TableBinding {
    const known = this.#bindings.get(table.id);
    if (known?.table.generation === table.generation) return known;
    const { relation } = table;
    const binding = bindTable(this.#rules, { table, relation, rowErrors: this.#rowErrors }) ?? unread(table);
    this.#bindings.set(table.id, binding);
    return binding;
  }
}

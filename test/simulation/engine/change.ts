/** What a transaction of the simulated source does, as data: applied where it applies, passed over where it does not. */
import type { ReplicaIdentity } from '@sluice/core';
import type { Row } from './tables.ts';

export type Change =
  | { readonly kind: 'insert'; readonly oid: string; readonly row: Row }
  | {
      readonly kind: 'update';
      readonly oid: string;
      readonly key: string;
      /** By attribute number; what is not named stays. */
      readonly set: Readonly<Record<number, string | null>>;
    }
  | { readonly kind: 'delete'; readonly oid: string; readonly key: string }
  | { readonly kind: 'truncate'; readonly oids: readonly string[] }
  | { readonly kind: 'create table'; readonly oid: string; readonly name: string }
  | { readonly kind: 'drop table'; readonly oid: string }
  | { readonly kind: 'rename table'; readonly oid: string; readonly to: string }
  | { readonly kind: 'add column'; readonly oid: string; readonly name: string; readonly missing: string | null }
  | { readonly kind: 'drop column'; readonly oid: string; readonly name: string }
  | { readonly kind: 'change type'; readonly oid: string; readonly name: string }
  | { readonly kind: 'publish'; readonly oid: string; readonly from: string }
  | { readonly kind: 'unpublish'; readonly oid: string }
  | { readonly kind: 'replica identity'; readonly oid: string; readonly to: ReplicaIdentity };

const SHARING = new Set(['insert', 'update', 'delete', 'publish', 'unpublish']);

/** Whether it needs the table for itself, and shows at once when it ends. */
export function isExclusive(change: Change): boolean {
  return !SHARING.has(change.kind);
}

export function describeChange(change: Change): string {
  const { kind, ...rest } = change;
  const said = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `${kind} ${said.join(' ')}`;
}

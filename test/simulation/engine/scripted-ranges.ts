/**
 * How the simulated source cuts tables into tasks and reads parts of them. Blocks are places in one file: another file
 * means that the table was rewritten or emptied, and a reader notices. Keys have no such memory.
 */
import { SluiceError } from '@sluice/core';
import type { PlannedTask, ReadPlan } from '@sluice/replication';
import type { JsonValue } from '@sluice/storage';
import { type Heap, keyOf, type Row } from './tables.ts';

export type Strategy = 'blocks' | 'keys';

/** From `from` on, up to but without `to`; for keys, the empty text is below all. */
type BlockRange = { readonly from: number; readonly to: number | null; readonly file: number };
type KeyRange = { readonly fromKey: string; readonly toKey: string | null };

interface Part {
  readonly rows: readonly Row[];
  readonly cursor: JsonValue;
  readonly last: boolean;
}

export function planOf(heap: Heap, strategy: Strategy, draw: number): ReadPlan {
  if (strategy === 'keys') {
    const cut = String(10 + Math.floor(draw * 25));
    const ranges: KeyRange[] = [
      { fromKey: '', toKey: cut },
      { fromKey: cut, toKey: null },
    ];
    return { hash: `keys ${cut}`, strategy, tasks: ranges.map(plannedTask) };
  }
  const { file } = heap;
  const cut = Math.floor(draw * 16);
  const ranges: BlockRange[] = [
    { from: 0, to: cut, file },
    { from: cut, to: null, file },
  ];
  return { hash: `${file} ${cut}`, strategy, tasks: ranges.map(plannedTask) };
}

/** Null if what is left is not worth two tasks. */
export function splitOf(
  range: JsonValue,
  cursor: JsonValue | null,
  draw: number,
): readonly [PlannedTask, PlannedTask] | null {
  if (isKeyRange(range)) return null;
  const blocks = range as unknown as BlockRange;
  const from = typeof cursor === 'number' ? cursor : blocks.from;
  const to = blocks.to ?? from + 10;
  if (to - from < 2) return null;
  const middle = from + 1 + Math.floor(draw * (to - from - 1));
  return [plannedTask({ ...blocks, to: middle }), plannedTask({ ...blocks, from: middle })];
}

/** @throws SLU_T1205 if blocks are those of another file */
export function partOf(heap: Heap | null, range: JsonValue, cursor: JsonValue | null, draw: number): Part {
  const size = 1 + Math.floor(draw * 8);
  if (isKeyRange(range)) return keysOf(heap, range, { cursor, size });
  const { from, to, file } = range as unknown as BlockRange;
  if (heap?.file !== file) throw new SluiceError('SLU_T1205', 'the table has another file');
  const at = typeof cursor === 'number' ? cursor : from;
  const end = Math.min(to ?? Number.MAX_SAFE_INTEGER, at + size);
  const rows = [...heap.slots].filter(([slot]) => slot >= at && slot < end).map(([, row]) => row);
  return { rows, cursor: end, last: end >= (to ?? Math.max(0, ...heap.slots.keys()) + 1) };
}

/** The cursor is the last key that was read. */
function keysOf(
  heap: Heap | null,
  { fromKey, toKey }: KeyRange,
  { cursor, size }: { readonly cursor: JsonValue | null; readonly size: number },
): Part {
  if (heap === null) throw new SluiceError('SLU_T1205', 'the table is gone, or has another name');
  const read = typeof cursor === 'string' ? cursor : '';
  const isLeft = (key: string) => key >= fromKey && (toKey === null || key < toKey) && key > read;
  const left = [...heap.slots.values()].filter((row) => isLeft(keyOf(row)));
  const rows = left.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)).slice(0, size);
  const lastRow = rows.at(-1);
  return { rows, cursor: lastRow === undefined ? cursor : keyOf(lastRow), last: rows.length === left.length };
}

function isKeyRange(range: JsonValue): range is KeyRange {
  return typeof range === 'object' && range !== null && 'fromKey' in range;
}

function plannedTask(range: BlockRange | KeyRange): PlannedTask {
  return { range, rowsEstimate: 10, bytesEstimate: 1000 };
}

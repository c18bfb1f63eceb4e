/**
 * Short keys of states: equal for equal states, different for different ones. A state is put together of parts that most steps
 * leave alone; each part is read once, and stands in the key as the number of what it says.
 *
 * Op ids are counted from the checkpoint: states that differ only in how many ops lie behind them are one state.
 */
import { invariant } from '@sluice/core';
import type { ModelState } from './model.ts';

/** A key has so many different numbers in one place at most. */
const NUMBERS_MAX = 0x10000;

/** A state's key, and what its parts stand in it as. */
export interface Keyed {
  readonly state: ModelState;
  readonly key: string;
  readonly parts: readonly number[];
}

type Part = (state: ModelState) => object;

/** Steps make a new object of a part that they change, and leave the others. */
const PARTS: readonly (readonly [part: Part, text: (state: ModelState) => string])[] = [
  [({ law }) => law, ({ law }) => lawText(law)],
  [({ tables }) => tables, ({ tables: { A, B } }) => `${tableText(A)} ${tableText(B)}`],
  [({ reading }) => reading, ({ reading: { A, B } }) => `${A.value} ${A.end} ${B.value} ${B.end}`],
  [({ records }) => records, ({ records }) => rowsText(records)],
  [({ visible }) => visible, ({ visible }) => rowsText(visible)],
  [({ ops }) => ops, ({ ops }) => ops.map(({ table, key, value }) => `${table}${key}${value}`).join()],
  [({ staged }) => staged, ({ staged }) => staged.join()],
];

export class StateKeys {
  readonly #numbers = PARTS.map(() => new Map<string, number>());

  /** @param before the state that it was come to from, in one step */
  keyed(state: ModelState, before: Keyed | null): Keyed {
    const parts = PARTS.map(([part, text], index) => {
      const same = before !== null && part(before.state) === part(state);
      return same ? (before.parts[index] as number) : this.#numberOf(text(state), index);
    });
    const { head, acked, position, crashesLeft, flushedRows, up } = state;
    const source = small(head) * 256 + small(acked) * 16 + small(position);
    const process = small(crashesLeft) * 256 + small(flushedRows) * 16 + (up ? 1 : 0);
    return { state, parts, key: String.fromCharCode(source, process, ...parts) };
  }

  #numberOf(text: string, index: number): number {
    const numbers = this.#numbers[index] as Map<string, number>;
    const known = numbers.get(text);
    if (known !== undefined) return known;
    const number = numbers.size;
    invariant(number < NUMBERS_MAX, 'the model is larger than its keys');
    numbers.set(text, number);
    return number;
  }
}

function small(value: number): number {
  invariant(value >= 0 && value < 16, 'the model is larger than its keys');
  return value;
}

function tableText({ snapshot, copied, visibility, end }: ModelState['tables']['A']): string {
  return `${snapshot} ${copied} ${visibility} ${end}`;
}

function rowsText({ A1, A2, B1, B2 }: ModelState['records']): string {
  return `${A1} ${A2} ${B1} ${B2}`;
}

function lawText({ checkpoint, snapshotDone, noCheckpointBefore, headOp, keepaliveOp }: ModelState['law']): string {
  const base = checkpoint?.opId ?? 0;
  const keepalive = keepaliveOp === null ? '' : keepaliveOp - base;
  return `${snapshotDone} ${noCheckpointBefore} ${checkpoint?.position} ${headOp - base} ${keepalive}`;
}

/** What evaluation said of rows that are to be packed together: neighbours, and the ops of each. */
import type { PlannedObject } from './row-plan.ts';

export class RowNotes {
  /** The first row. */
  first = 0;
  readonly #outlines: number[] = [];
  readonly #opEnds: number[] = [];
  readonly buckets: string[] = [];
  readonly objects: PlannedObject[] = [];

  get count(): number {
    return this.#outlines.length;
  }

  /** Forgets all. @param first the row that is noted next */
  begin(first: number): void {
    this.first = first;
    this.#outlines.length = 0;
    this.#opEnds.length = 0;
    this.buckets.length = 0;
    this.objects.length = 0;
  }

  /** @param outline where the program finds it */
  addRow(outline: number): void {
    this.#outlines.push(outline);
    this.#opEnds.push(this.buckets.length);
  }

  /** Of the last row. */
  addOp(bucket: string, object: PlannedObject): void {
    this.buckets.push(bucket);
    this.objects.push(object);
    this.#opEnds[this.#opEnds.length - 1] = this.buckets.length;
  }

  outline(row: number): number {
    return this.#outlines[row] as number;
  }

  firstOp(row: number): number {
    return row === 0 ? 0 : (this.#opEnds[row - 1] as number);
  }
}

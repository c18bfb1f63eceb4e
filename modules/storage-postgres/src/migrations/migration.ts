/** One numbered step of the schema. Steps that were released are never edited: a change is a new step. */
import type { StreamId } from '@sluice/core';
import type { Names } from '../names.ts';

export interface Migration {
  /** 1, 2, 3, … */
  readonly number: number;
  readonly name: string;
  /** @param streams whose tables must be changed as their templates are */
  readonly statements: (names: Names, streams: readonly StreamId[]) => readonly string[];
}

/** A table as it is stored, and as the catalogue of the source has it now. */
import { BEFORE_ALL, type Position, type Relation } from '@sluice/core';
import type { TableState } from '@sluice/storage';
import type { DiscoveredTable } from '../change-source.ts';
import { compatibility, isAsPublished } from './table-binding.ts';

/** What is stored of a table that was found. */
export function foundAs({ relation, published = '' }: DiscoveredTable, at: Position): Relation {
  return { ...relation, found: { at, published } };
}

export function canBeRead({ problem }: DiscoveredTable): boolean {
  return problem === null || problem.kind === 'unidentified';
}

/**
 * Whether a stored table can be kept up: it is the same, and published as it was, all the while. Another problem that it has
 * now makes it no worse than it was.
 */
export function isKept(stored: TableState, now: DiscoveredTable): boolean {
  return now.problem?.kind !== 'unpublished' && goesOn(stored, now);
}

/** Whether what is stored goes on from what the source has and sends now. */
export function goesOn(
  stored: TableState,
  { relation, keyColumns, published = '', problem }: DiscoveredTable,
): boolean {
  return (
    compatibility(stored, relation) === 'same' &&
    (problem !== null || stored.keyColumns.join() === keyColumns.join()) &&
    isAsPublished(stored, { published })
  );
}

/** Whether another table than the stored one had its name in the transaction of `boundary`, which is behind where it was found. */
export function hasLostNameTo(
  { schema, name, sourceId }: Relation,
  boundary: Position,
  { relation }: TableState,
): boolean {
  const isNamesake = relation.schema === schema && relation.name === name && relation.sourceId !== sourceId;
  return isNamesake && boundary > (relation.found?.at ?? BEFORE_ALL);
}

/**
 * Rows that are read again to complete what an update left out are read as they are now. If their table has left the
 * publication by then, values of rows that the stream never brings would stand beside those that it brought (rule R7).
 */
import { afterEach, expect, test, vi } from 'vitest';
import { TableCatalog } from '../../../packages/replication/src/tables/table-catalog.ts';
import type { Mutant } from './life.ts';
import { liveBySeed } from './simulate.ts';
import type { SourceDatabase } from './source-database.ts';
import { ID, LONG } from './tables.ts';

const LIVES = 14;
const LIKINGS = { defining: 0, losing: 0, publishing: 0, denying: 0 };

afterEach(() => {
  vi.restoreAllMocks();
});

function leave(database: SourceDatabase, oid: string, keys: readonly string[]): void {
  database.commit([{ kind: 'unpublish', oid }]);
  database.commit(keys.map((key) => ({ kind: 'update', oid, key, set: { [LONG]: 'long behind the gap' } })));
}

/** Lives in which a table leaves the publication, and its rows change, just before rows of it are read again. */
async function violations(comesBack: boolean): Promise<{ readonly gaps: number; readonly violated: number }> {
  let gaps = 0;
  let violated = 0;
  for (let seed = 1; seed <= LIVES; seed++) {
    let isLeft = false;
    const leaving: NonNullable<Mutant['source']> = (source, database) => ({
      readRows: async (relation, keyColumns, rows) => {
        const oid = relation.sourceId;
        if (!isLeft && rows.length > 0) {
          isLeft = true;
          gaps++;
          leave(
            database,
            oid,
            rows.map((row) => row[ID] ?? ''),
          );
          if (comesBack) database.commit([{ kind: 'publish', oid, from: '' }]);
          database.revealAll();
          database.flush();
        }
        return source.readRows(relation, keyColumns, rows);
      },
    });
    const { violation } = await liveBySeed({ seed, likings: LIKINGS, mutant: { source: leaving } });
    if (violation !== null) violated++;
  }
  return { gaps, violated };
}

test.each([false, true])('nothing of it is shown, whether the table comes back (%s) or not', async (comesBack) => {
  const { gaps, violated } = await violations(comesBack);
  expect(gaps).toBeGreaterThan(5);
  expect(violated).toBe(0);
});

test('it would be shown if the catalogue were not asked behind the read', async () => {
  vi.spyOn(TableCatalog.prototype, 'confirm').mockResolvedValue(true);
  expect((await violations(false)).violated).toBeGreaterThan(0);
});

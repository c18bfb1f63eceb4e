/**
 * Copies under load, killed at the named failpoints (packages/core/src/failpoints.ts), on every version of Postgres that
 * is supported. Each run is a function of its seed; the failpoints come in turn, so that a full round visits each.
 *
 *     SLUICE_TEST_SIZE=full npx vitest run test/crash/failpoints.test.ts         200 runs over four versions
 *     SLUICE_TEST_RUNS=40 SLUICE_TEST_FIRST_RUN=80 SLUICE_TEST_SIZE=full …       some of them
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planKills } from '../kit/crash-plan.ts';
import { crashRun, type CrashWorld } from '../kit/crash-run.ts';
import { recordHistory } from '../kit/history.ts';
import { startPostgres } from '../kit/postgres.ts';
import { POSTGRES_MAJORS, type PostgresMajor, requestedMajor } from '../kit/postgres-versions.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { seededRandom } from '../kit/seeded-random.ts';
import { fullSize, sized, testSeed } from '../kit/size.ts';

const RUNS = Number(process.env['SLUICE_TEST_RUNS'] ?? sized(6, 200));
const FIRST_RUN = Number(process.env['SLUICE_TEST_FIRST_RUN'] ?? 0);
/** Kills of one run. */
const KILLS_MAX = sized(1, 3);
const ROWS = sized(14_000, 21_000);
/** Each version sees every failpoint once in 38 of its runs, and neighbours are of different kinds. */
const turnOf = (run: number) => Math.floor(run / POSTGRES_MAJORS.length) * 13 + (run % POSTGRES_MAJORS.length) * 7;

/** Every third run keeps its buckets in Postgres. */
const storageOf = (run: number) => (run % 3 === 2 ? 'postgresql' : 'lmdb');

/** In two of five a second process copies, and is killed as well. */
const withCopier = (run: number) => run % 5 === 2 || run % 5 === 4;

async function openWorld(major: PostgresMajor | null): Promise<CrashWorld> {
  const postgres = await startPostgres({
    settings: { shared_buffers: '256MB' },
    ...(major === null ? {} : { major }),
  });
  const { name, connect } = await postgres.createDatabase('template_of_runs');
  const connection = await connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: ROWS });
  // Rows that fill several chunks, and that updates leave parts of out.
  await connection.query(`UPDATE documents SET content = repeat(md5(id), 150)`);
  await connection.query('VACUUM FULL documents');
  await connection.query('ANALYZE documents');
  await recordHistory(connection);
  await connection.end();
  return { postgres, template: name, population };
}

const majors: readonly (PostgresMajor | null)[] = fullSize && requestedMajor() === null ? POSTGRES_MAJORS : [null];
const suites = majors.map((major) => ({ major, runs: runsOn(major) })).filter(({ runs }) => runs.length > 0);

/** The runs take turns on the versions; null is the one that there is. */
function runsOn(major: PostgresMajor | null): readonly number[] {
  const all = Array.from({ length: RUNS }, (_, index) => FIRST_RUN + index);
  return major === null ? all : all.filter((run) => POSTGRES_MAJORS[run % POSTGRES_MAJORS.length] === major);
}

describe.each(suites)('Postgres $major', ({ major, runs }) => {
  let world: CrashWorld | null = null;
  let unavailable = '';
  beforeAll(async () => {
    world = await openWorld(major).catch((error: Error) => {
      if (!error.message.includes('could not be fetched')) throw error;
      unavailable = error.message;
      return null;
    });
  }, 300_000);
  afterAll(() => world?.postgres.stop());

  test.for(runs)('copy %i, killed at failpoints', { timeout: sized(600_000, 900_000) }, async (run, context) => {
    if (world === null) return context.skip(unavailable);
    const seed = testSeed + run;
    const random = seededRandom(seed);
    const kills = planKills(turnOf(run), 1 + random.int(KILLS_MAX), random);
    const storage = storageOf(run);
    const report = await crashRun(world, { kills, seed, storage, copier: withCopier(run) }).catch((error: Error) => {
      // At once: a long round may be broken off before its end.
      console.error(JSON.stringify({ major, run, seed, storage, kills }), error.message);
      error.message = `${JSON.stringify(kills)}: ${error.message}`;
      throw error;
    });
    expect(report.holdings).toBeGreaterThan(0);
    console.log(JSON.stringify({ major, run, storage, ...report }));
  });
});

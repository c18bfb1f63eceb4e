/** Programs of vector instructions are kept compiled: who runs the service needs no compiler. `UPDATE=1` compiles them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import wabt from 'wabt';

const PROGRAMS = [
  { directory: 'packages/sync/src', source: 'ndjson-ops.wat', compiled: 'ndjson-program.ts', name: 'NDJSON_PROGRAM' },
  {
    directory: 'packages/replication/src/copy',
    source: 'pack-rows.wat',
    compiled: 'pack-rows-program.ts',
    name: 'PACK_ROWS_PROGRAM',
  },
  {
    directory: 'modules/source-postgres/src',
    source: 'cut-rows.wat',
    compiled: 'cut-rows-program.ts',
    name: 'CUT_ROWS_PROGRAM',
  },
];

test.each(PROGRAMS)('$compiled is compiled from $source', async ({ directory, source, compiled, name }) => {
  const from = join(import.meta.dirname, '..', directory);
  const program = (await wabt()).parseWat(source, readFileSync(join(from, source), 'utf8'));
  program.validate();
  const bytes = Buffer.from(program.toBinary({}).buffer).toString('base64');
  const text = `/** ${source}, compiled by \`UPDATE=1 npx vitest run test/wasm.test.ts\`. */
export const ${name} =
  '${bytes}';
`;
  const path = join(from, compiled);
  if (process.env['UPDATE'] === '1') writeFileSync(path, text);
  expect(readFileSync(path, 'utf8')).toBe(text);
});

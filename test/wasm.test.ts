/** Programs of vector instructions are kept compiled: who runs the service needs no compiler. `UPDATE=1` compiles them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import wabt from 'wabt';

const directory = join(import.meta.dirname, '../packages/sync/src');

test('the program that transcribes ops is compiled from its source', async () => {
  const name = 'ndjson-ops.wat';
  const program = (await wabt()).parseWat(name, readFileSync(join(directory, name), 'utf8'));
  program.validate();
  const compiled = Buffer.from(program.toBinary({}).buffer).toString('base64');
  const path = join(directory, 'ndjson-program.ts');
  const text = `/** ${name}, compiled by \`UPDATE=1 npx vitest run test/wasm.test.ts\`. */
export const NDJSON_PROGRAM =
  '${compiled}';
`;
  if (process.env['UPDATE'] === '1') writeFileSync(path, text);
  expect(readFileSync(path, 'utf8')).toBe(text);
});

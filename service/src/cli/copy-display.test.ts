import { systemClock } from '@sluice/core';
import { expect, it } from 'vitest';
import type { StatusDocument } from '../status/model.ts';
import { drawCopies, StatusLine } from './copy-display.ts';

const CLEAR = '\r\u001b[K';

/** What a terminal of 40 columns shows, as far as it is used here: lines, and a last one that is cleared. */
function screen() {
  const rows = [''];
  const write = (text: string) => {
    const [kept, ...redrawn] = text.split(CLEAR);
    const last = redrawn.length === 0 ? `${rows.pop()}${kept}` : (rows.pop(), redrawn.at(-1) ?? '');
    rows.push(...last.split('\n'));
  };
  return { rows, columns: 40, write };
}

it('keeps its line under what scrolls by, within the width of the terminal', () => {
  const terminal = screen();
  const line = new StatusLine(terminal);
  line.show('Copying, 10 %');
  line.above(() => terminal.write('{"level":"info"}\n'));
  line.show(`Copying, 20 %${'.'.repeat(100)}`);
  expect(terminal.rows).toEqual(['{"level":"info"}', `Copying, 20 %${'.'.repeat(26)}`]);
  line.clear();
  line.above(() => terminal.write('ready\n'));
  expect(terminal.rows).toEqual(['{"level":"info"}', 'ready', '']);
});

it('draws while a copy is under way, and takes the line away when it is done', async () => {
  const terminal = screen();
  const progress = { rows: 5, rowsEstimate: 10, percent: 50, rowsPerSecond: 2, secondsLeft: 3 };
  const table = (snapshot: string) => ({ snapshot });
  const copying = { id: 1, lifecycle: 'processing', progress, tables: [table('done'), table('pending')] };
  const answers = [{ streams: [copying] }, { streams: [{ ...copying, tables: [table('done')] }] }];
  const seen: string[] = [];
  const stop = new AbortController();
  await drawCopies(
    {
      service: {
        status: async () => {
          seen.push(terminal.rows.join('/'));
          const answer = answers.shift();
          if (answer === undefined) stop.abort(new Error('over'));
          return (answer ?? { streams: [] }) as unknown as StatusDocument;
        },
      },
      line: new StatusLine({ ...terminal, columns: 200 }),
      clock: { ...systemClock, sleep: async () => {} },
    },
    stop.signal,
  );
  expect(seen).toEqual([
    '',
    expect.stringMatching(/^Copying, stream 1: \[#{10}\.{10}\] 50 % .*2 rows\/s, 3 s left.*1\/2/),
    '',
  ]);
  expect(terminal.rows).toEqual(['']);
});

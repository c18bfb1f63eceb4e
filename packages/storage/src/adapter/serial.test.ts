import { expect, test } from 'vitest';
import { type Lane, Serial } from './serial.ts';

async function orderOf(jobs: readonly [string, Lane][]): Promise<string[]> {
  const serial = new Serial();
  const order: string[] = [];
  await Promise.all(jobs.map(([name, lane]) => serial.run(async () => void order.push(name), lane)));
  return order;
}

test('prompt jobs overtake patient ones that have not begun, each lane in its own order', async () => {
  const order = await orderOf([
    ['chunk 1', 'patient'],
    ['chunk 2', 'patient'],
    ['flush', 'prompt'],
    ['chunk 3', 'patient'],
    ['commit', 'prompt'],
  ]);
  expect(order).toEqual(['chunk 1', 'flush', 'commit', 'chunk 2', 'chunk 3']);
});

test('a patient job is overtaken by eight at most', async () => {
  const prompt = Array.from({ length: 20 }, (_, index): [string, Lane] => [`flush ${index}`, 'prompt']);
  const order = await orderOf([['first', 'prompt'], ['chunk', 'patient'], ...prompt]);
  expect(order.indexOf('chunk')).toBe(9);
});

test('one job at a time, and a failed one does not stop the next', async () => {
  const serial = new Serial();
  let running = 0;
  const job = async () => {
    expect(++running).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
  };
  const failed = serial.run(async () => {
    throw new Error('no');
  });
  const done = [serial.run(job), serial.run(job, 'patient'), serial.run(job)];
  await expect(failed).rejects.toThrow('no');
  await Promise.all(done);
});

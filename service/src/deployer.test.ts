/** Who deploys when several processes start, and which of two configurations is the older one. */
import { silentLogger, systemClock } from '@sluice/core';
import { type BucketStorage, createMemoryStorage } from '@sluice/storage';
import { expect, it } from 'vitest';
import { Deployer } from './deployer.ts';

const rules = (column: string) => `bucket_definitions:
  all:
    data:
      - SELECT id, ${column} FROM t
`;
const [OLD, NEW, OTHER] = ['a', 'b', 'c'].map(rules) as [string, string, string];

/** A process that starts with these rules in its configuration. */
async function start(storage: BucketStorage, process: string, text: string | null): Promise<Deployer> {
  const deployer = new Deployer({ storage, clock: systemClock, logger: silentLogger });
  await deployer.ensure(process, text);
  return deployer;
}

async function newest(storage: BucketStorage): Promise<string | undefined> {
  return (await storage.listStreams()).findLast(({ lifecycle }) => lifecycle !== 'stopped')?.rules;
}

it('is one deploy when several start at the same time', async () => {
  const storage = createMemoryStorage();
  await Promise.all(['one', 'two', 'three', 'four'].map((process) => start(storage, process, OLD)));
  expect(await storage.listStreams()).toHaveLength(1);
  // The last one wins where they differ; none fails.
  await Promise.all(['one', 'two', 'three'].map((process, index) => start(storage, process, rules(`d${index}`))));
  expect((await storage.listStreams()).filter(({ lifecycle }) => lifecycle === 'processing')).toHaveLength(1);
});

it('is not undone by a process that was given nothing new', async () => {
  const storage = createMemoryStorage();
  for (const process of ['one', 'two']) await start(storage, process, OLD);
  expect((await start(storage, 'one', NEW)).notice).toBeNull();
  // Restarts, in mid-deploy and after it, with the file of before.
  const stale = await start(storage, 'two', OLD);
  expect(stale.notice?.code).toBe('SLU_C0010');
  expect(await newest(storage)).toBe(NEW);
  await storage.activate(2);
  expect((await start(storage, 'two', OLD)).notice?.code).toBe('SLU_C0010');
  expect(await newest(storage)).toBe(NEW);
  // Its turn in the rolling deploy.
  expect((await start(storage, 'two', NEW)).notice).toBeNull();
  expect(await storage.listStreams()).toHaveLength(2);
});

it('goes back to older rules where a configuration does', async () => {
  const storage = createMemoryStorage();
  for (const text of [OLD, NEW, OLD]) expect((await start(storage, 'one', text)).notice).toBeNull();
  expect(await newest(storage)).toBe(OLD);
  expect((await start(storage, 'two', OTHER)).notice).toBeNull();
  expect((await start(storage, 'one', OLD)).notice?.code).toBe('SLU_C0010');
  // A comment says that it is meant.
  expect((await start(storage, 'one', `# again\n${OLD}`)).notice).toBeNull();
  expect(await newest(storage)).toBe(`# again\n${OLD}`);
});

it('takes rules that are configured again for new ones', async () => {
  const storage = createMemoryStorage();
  await start(storage, 'one', OLD);
  await (await start(storage, 'one', null)).deploy(NEW);
  await start(storage, 'one', OLD);
  expect(await newest(storage)).toBe(OLD);
});

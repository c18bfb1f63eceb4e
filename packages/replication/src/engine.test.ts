import { NO_THROTTLE } from './copy/pace.ts';
import { silentLogger, SluiceError, systemClock } from '@sluice/core';
import { type BucketStorage, createMemoryStorage } from '@sluice/storage';
import type { SyncRules } from '@sluice/sync-rules';
import { expect, test } from 'vitest';
import { ReplicationEngine } from './engine.ts';

test('storage that fails while it is told of a failure ends no supervision, and the engine can be run again', async () => {
  const inner = createMemoryStorage();
  await inner.createStream('', 0);
  let gone = false;
  let attempts = 0;
  const unreachable = () => new SluiceError('SLU_X0002', 'storage is gone');
  const storage = new Proxy<BucketStorage>(inner, {
    get: (target, name: keyof BucketStorage) => {
      if (name === 'reportError') return () => Promise.reject(unreachable());
      if (name === 'watchStreams' && gone) {
        return () => {
          throw unreachable();
        };
      }
      return (target[name] as (...args: unknown[]) => unknown).bind(target);
    },
  });
  const engine = new ReplicationEngine({
    duty: 'replicate',
    storage,
    compileRules: (): SyncRules => {
      attempts++;
      throw new SluiceError('PSYNC_S1121', 'no route');
    },
    createSource: () => {
      throw new Error('not reached');
    },
    clock: { ...systemClock, sleep: (_, signal) => systemClock.sleep(1, signal) },
    random: () => 0.5,
    logger: silentLogger,
    owner: 'test',
    concurrency: 1,
    throttle: NO_THROTTLE,
  });
  const first = new AbortController();
  const running = engine.run(first.signal);
  await expect.poll(() => attempts).toBeGreaterThan(3);
  first.abort(new Error('over'));
  await running;

  gone = true;
  await expect(engine.run(new AbortController().signal)).rejects.toThrow('storage is gone');
  gone = false;
  const before = attempts;
  const second = new AbortController();
  const again = engine.run(second.signal);
  await expect.poll(() => attempts).toBeGreaterThan(before + 3);
  second.abort(new Error('over'));
  await again;
});

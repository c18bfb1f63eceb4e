import { type OpenStorage, World } from './harness.ts';

/** Runs a test in a world of its own, and takes it down afterwards. */
export type WithWorld = (play: (world: World) => Promise<void>) => Promise<void>;

export function worlds(open: OpenStorage): WithWorld {
  return async (play) => {
    const world = await World.open(open);
    try {
      await play(world);
    } finally {
      await world.close();
    }
  };
}

/** Long loops in short turns, so that everybody else gets the event loop in between. */
import { type Clock, nextSlice } from '@sluice/core';

const TURN_MS = 12;
const ITEMS_BETWEEN_LOOKS = 128;

export async function inSlices(clock: Clock, count: number, step: (at: number) => void): Promise<void> {
  let until = clock.monotonic() + TURN_MS;
  for (let at = 0; at < count; at++) {
    step(at);
    if (at % ITEMS_BETWEEN_LOOKS !== 0 || clock.monotonic() < until) continue;
    await nextSlice();
    until = clock.monotonic() + TURN_MS;
  }
}

/** The same for steps of some length, until there is none left. @param step returns whether there was one */
export async function inTurns(clock: Clock, step: () => boolean): Promise<void> {
  let until = clock.monotonic() + TURN_MS;
  while (step()) {
    if (clock.monotonic() < until) continue;
    await nextSlice();
    until = clock.monotonic() + TURN_MS;
  }
}

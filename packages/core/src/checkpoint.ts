import type { OpId } from './ids.ts';
import type { Position } from './position.ts';

/** What clients may see: every op up to `opId`, which equals the source at `position`. */
export interface Checkpoint {
  readonly opId: OpId;
  readonly position: Position;
}

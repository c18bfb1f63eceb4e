/**
 * Every op that any client was ever sent, over restarts of the service: an op id means one thing for ever. An id that
 * comes back with another content was used twice, and a client that resumed behind it has lost an op.
 */
import type { WireOp } from './op-log.ts';

export class OpRegister {
  readonly #seen = new Map<string, string>();
  /** Ops that came again as they were. */
  repeated = 0;

  get size(): number {
    return this.#seen.size;
  }

  /** @throws if an op id was seen with another content */
  note(bucket: string, ops: readonly WireOp[]): void {
    for (const op of ops) {
      const key = `${bucket} ${op.op_id}`;
      const content = `${op.op} ${op.object_type} ${op.object_id} ${op.checksum}`;
      const before = this.#seen.get(key);
      if (before === undefined) this.#seen.set(key, content);
      else if (before === content) this.repeated++;
      else throw new Error(`op id used twice: ${key} was ${before}, and is ${content}`);
    }
  }
}

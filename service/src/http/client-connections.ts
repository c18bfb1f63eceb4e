/** The clients that are being served by this process: bound, counted, and ended together at shutdown. */
import { SluiceError } from '@sluice/core';

/** `current`: has all there is. `downloading`: is being sent data. `blocked`: does not read as fast as we could send. */
export type ClientActivity = 'connecting' | 'current' | 'downloading' | 'blocked';

export interface ClientConnection {
  readonly user: string;
  readonly clientId: string | null;
  readonly userAgent: string;
  readonly connectedAtMs: number;
  activity: ClientActivity;
  lines: number;
  bytes: number;
  ops: number;
}

export class ClientConnections {
  readonly #max: number;
  readonly #open = new Map<ClientConnection, AbortController>();
  readonly totals = { accepted: 0, refused: 0, evicted: 0, bytes: 0, ops: 0 };

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#open.size;
  }

  get max(): number {
    return this.#max;
  }

  /** @throws PSYNC_S2304 if there are too many */
  add(connection: ClientConnection, end: AbortController): void {
    if (this.#open.size >= this.#max) {
      this.totals.refused++;
      throw new SluiceError('PSYNC_S2304', `there are ${this.#open.size} connections, the most that are allowed`);
    }
    this.totals.accepted++;
    this.#open.set(connection, end);
  }

  remove(connection: ClientConnection): void {
    if (!this.#open.delete(connection)) return;
    this.totals.bytes += connection.bytes;
    this.totals.ops += connection.ops;
  }

  byActivity(): Readonly<Record<ClientActivity, number>> {
    const counts = { connecting: 0, current: 0, downloading: 0, blocked: 0 };
    for (const connection of this.#open.keys()) counts[connection.activity]++;
    return counts;
  }

  endAll(reason: Error): void {
    for (const end of this.#open.values()) end.abort(reason);
  }
}

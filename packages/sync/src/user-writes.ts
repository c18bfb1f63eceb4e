/**
 * The newest write checkpoint of each user that is connected here: read when the user comes, told by requests that this
 * process served, and for those that others served looked up for all users at once. Connections ask without a query.
 */
import type { Position } from '@sluice/core';
import type { BucketStorage, WriteCheckpoint } from '@sluice/storage';
import { TurnBatches } from './reads/turn-batches.ts';

/** A connection that wants to know when there is something to tell. */
export interface WriteListener {
  writeCheckpointMayBeDue(): void;
}

interface User {
  readonly listeners: Set<WriteListener>;
  /** Undefined before it was read; null if there is none. */
  newest: WriteCheckpoint | null | undefined;
}

/** Users in one look at storage. */
const LOOK_USERS_MAX = 2_000;

export class UserWrites {
  readonly #storage: Pick<BucketStorage, 'writeCheckpoints'>;
  readonly #users = new Map<string, User>();
  /** Users whose newest write checkpoint waits for its head to be passed. */
  readonly #awaiting = new Set<string>();
  #position: Position | null = null;
  readonly #looks: TurnBatches<WriteCheckpoint>;

  constructor(storage: Pick<BucketStorage, 'writeCheckpoints'>) {
    this.#storage = storage;
    this.#looks = new TurnBatches((_, users) => this.#storage.writeCheckpoints(users), LOOK_USERS_MAX);
  }

  join(name: string, listener: WriteListener): void {
    const user = this.#users.get(name);
    if (user === undefined) this.#users.set(name, { listeners: new Set([listener]), newest: undefined });
    else user.listeners.add(listener);
  }

  leave(name: string, listener: WriteListener): void {
    const user = this.#users.get(name);
    user?.listeners.delete(listener);
    if (user?.listeners.size !== 0) return;
    this.#users.delete(name);
    this.#awaiting.delete(name);
  }

  /** A value if it is known, or null if the user must be looked up by `learn` first. */
  known(name: string): { readonly newest: WriteCheckpoint | null } | null {
    const newest = this.#users.get(name)?.newest;
    return newest === undefined ? null : { newest };
  }

  /** Reads the user's newest from storage, together with those of others who come now. */
  async learn(name: string): Promise<WriteCheckpoint | null> {
    this.#found([name], await this.#looks.ask(0, [name]));
    return this.#users.get(name)?.newest ?? null;
  }

  /** A checkpoint at `position` is shown. */
  passed(position: Position): void {
    this.#position = position;
    for (const name of this.#awaiting) this.#wakeIfDue(name);
  }

  /** `newest` was stored, here, or found in storage. */
  stored(name: string, newest: WriteCheckpoint): void {
    const user = this.#users.get(name);
    if (user === undefined) return;
    // Not read yet: then what is found in storage will be this, or newer.
    if (user.newest !== undefined && user.newest !== null && user.newest.id >= newest.id) return;
    user.newest = newest;
    this.#wakeIfDue(name);
  }

  #wakeIfDue(name: string): void {
    const user = this.#users.get(name);
    const newest = user?.newest ?? null;
    if (user === undefined || newest === null) return;
    if (this.#position === null || newest.head > this.#position) return void this.#awaiting.add(name);
    this.#awaiting.delete(name);
    for (const listener of user.listeners) listener.writeCheckpointMayBeDue();
  }

  /** Looks for what other processes stored. */
  async lookAround(): Promise<void> {
    const known = [...this.#users].filter(([, user]) => user.newest !== undefined).map(([name]) => name);
    for (let from = 0; from < known.length; from += LOOK_USERS_MAX) {
      const names = known.slice(from, from + LOOK_USERS_MAX);
      this.#found(names, await this.#storage.writeCheckpoints(names));
    }
  }

  #found(names: readonly string[], found: ReadonlyMap<string, WriteCheckpoint>): void {
    for (const name of names) {
      const newest = found.get(name);
      const user = this.#users.get(name);
      if (newest !== undefined) this.stored(name, newest);
      else if (user !== undefined) user.newest ??= null;
    }
  }
}

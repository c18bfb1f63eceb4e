/**
 * A proxy in front of Postgres that breaks connections at the worst instant: when a client asks for a commit, sometimes
 * before the server hears of it, and sometimes after the server did it and before the client is told. It also breaks
 * them in between, at any message.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Random } from '@sluice/core';

export interface CommitFaultOptions {
  readonly target: { readonly host: string; readonly port: number };
  readonly random: Random;
  /** Of a commit: that it is never sent, and that its answer is swallowed. */
  readonly unsent: number;
  readonly unanswered: number;
  /** Of any other message of a client. */
  readonly cut: number;
}

/** A simple query of exactly this text. */
const COMMIT = Buffer.from('Q\0\0\0\x0bcommit\0', 'latin1');

export class CommitFaults {
  readonly port: number;
  /** What has been done so far. */
  readonly counts: { unsent: number; unanswered: number; cut: number };
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;
  readonly #state: { active: boolean };

  private constructor(
    server: Server,
    sockets: ReadonlySet<Socket>,
    own: { readonly port: number; readonly counts: CommitFaults['counts']; readonly state: { active: boolean } },
  ) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = own.port;
    this.counts = own.counts;
    this.#state = own.state;
  }

  static async start(options: CommitFaultOptions): Promise<CommitFaults> {
    const counts = { unsent: 0, unanswered: 0, cut: 0 };
    const state = { active: false };
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect(options.target);
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => sockets.delete(socket));
      }
      pass(near, far, { ...options, counts, state });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    return new CommitFaults(server, sockets, { port: address.port, counts, state });
  }

  begin(): void {
    this.#state.active = true;
  }

  end(): void {
    this.#state.active = false;
  }

  async stop(): Promise<void> {
    this.end();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

interface Passing extends CommitFaultOptions {
  readonly counts: CommitFaults['counts'];
  readonly state: { readonly active: boolean };
}

function pass(near: Socket, far: Socket, { random, unsent, unanswered, cut, counts, state }: Passing): void {
  let swallowing = false;
  const breakOff = () => {
    near.resetAndDestroy();
    far.destroySoon();
  };
  near.on('data', (part: Buffer) => {
    const roll = random();
    // A client may send what it wants to be committed along with it.
    const commitAt = part.indexOf(COMMIT);
    if (state.active && commitAt >= 0) {
      if (roll < unsent) {
        counts.unsent++;
        far.write(part.subarray(0, commitAt));
        breakOff();
        return;
      }
      if (roll < unsent + unanswered) {
        counts.unanswered++;
        swallowing = true;
      }
    } else if (state.active && roll < cut) {
      counts.cut++;
      breakOff();
      return;
    }
    far.write(part);
  });
  far.on('data', (part: Buffer) => {
    if (swallowing) breakOff();
    else near.write(part);
  });
  near.on('close', () => far.destroy());
  far.on('close', () => near.destroy());
}

/** A TCP proxy that can fall silent: connections stay open, bytes are accepted and go nowhere until it is healed. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class FaultProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs: Set<readonly [Socket, Socket]>;
  readonly #state: { silent: boolean };

  private constructor(server: Server, port: number, pairs: Set<readonly [Socket, Socket]>, state: { silent: boolean }) {
    this.#server = server;
    this.port = port;
    this.#pairs = pairs;
    this.#state = state;
  }

  static async start(target: { readonly host: string; readonly port: number }): Promise<FaultProxy> {
    const pairs = new Set<readonly [Socket, Socket]>();
    const state = { silent: false };
    const server = createServer((near) => {
      const far = connect(target);
      const pair = [near, far] as const;
      pairs.add(pair);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('data', (part: Buffer) => {
          if (!to.write(part)) from.pause();
        });
        to.on('drain', () => {
          if (!state.silent) from.resume();
        });
        from.on('error', () => {});
        from.on('close', () => {
          to.destroy();
          pairs.delete(pair);
        });
        if (state.silent) from.pause();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    return new FaultProxy(server, address.port, pairs, state);
  }

  /** From now on nothing passes, and nobody is told. */
  silence(): void {
    this.#state.silent = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  heal(): void {
    this.#state.silent = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  /** Breaks every connection. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The smallest load balancer: each new connection goes to the next target that accepts it. Knows nothing of HTTP. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class TcpSwitch {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, port: number, sockets: Set<Socket>) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}`;
    this.#sockets = sockets;
  }

  static async start(targets: readonly { readonly url: string }[]): Promise<TcpSwitch> {
    const ports = targets.map(({ url }) => Number(new URL(url).port));
    const sockets = new Set<Socket>();
    let turn = 0;
    const server = createServer({ pauseOnConnect: true }, (near) => {
      near.on('error', () => {});
      sockets.add(near);
      near.once('close', () => sockets.delete(near));
      const first = turn++;
      const attempt = (tried: number) => {
        const port = ports[(first + tried) % ports.length];
        if (port === undefined || tried === ports.length) {
          near.destroy();
          return;
        }
        const far = connect(port, '127.0.0.1');
        far.once('error', () => attempt(tried + 1));
        far.once('connect', () => join(near, far));
      };
      attempt(0);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the switch has no port');
    return new TcpSwitch(server, address.port, sockets);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function join(near: Socket, far: Socket): void {
  far.removeAllListeners('error');
  far.on('error', () => near.resetAndDestroy());
  near.once('close', () => far.destroy());
  far.once('close', () => near.destroySoon());
  far.pipe(near);
  near.pipe(far);
}

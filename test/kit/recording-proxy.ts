/**
 * A TCP proxy that keeps what clients say (as text), counts what they are sent, can rewrite what passes, and can cut all
 * connections. What was asked of a server is thereby known from the wire, whoever reports what.
 */
import { connect, createServer, type Socket } from 'node:net';

export interface ProxyOptions {
  readonly host: string;
  readonly port: number;
  /** Rewrites a chunk on its way to the server; must keep its length. */
  readonly rewrite?: (text: string) => string;
  /** Is shown the first bytes of every chunk on its way to a client, decoded as latin1. */
  readonly onAnswer?: (head: string) => void;
}

export interface RecordingProxy {
  readonly port: number;
  /** All that clients have sent, decoded as latin1. */
  readonly asked: string;
  /** Bytes sent to clients. */
  readonly answeredBytes: number;
  readonly connections: number;
  cutAll(): void;
  close(): Promise<void>;
}

export async function startProxy({ host, port, rewrite, onAnswer }: ProxyOptions): Promise<RecordingProxy> {
  const sockets = new Set<Socket>();
  const counts = { asked: [] as string[], answeredBytes: 0, connections: 0 };
  const server = createServer((client) => {
    const upstream = connect(port, host);
    counts.connections++;
    join(client, upstream);
    join(upstream, client);
    client.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      counts.asked.push(text);
      upstream.write(rewrite === undefined ? chunk : Buffer.from(rewrite(text), 'latin1'));
    });
    upstream.on('data', (chunk: Buffer) => {
      counts.answeredBytes += chunk.length;
      onAnswer?.(chunk.toString('latin1', 0, 1000));
      // Back-pressure passes through.
      if (!client.write(chunk)) {
        upstream.pause();
        client.once('drain', () => upstream.resume());
      }
    });
  });
  /** Each side shares the other's fate. */
  function join(socket: Socket, other: Socket): void {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => other.destroy());
    socket.on('end', () => other.end());
    socket.on('close', () => {
      sockets.delete(socket);
      other.destroy();
    });
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    get asked() {
      return counts.asked.join('');
    },
    get answeredBytes() {
      return counts.answeredBytes;
    },
    get connections() {
      return counts.connections;
    },
    cutAll,
    close: async () => {
      cutAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

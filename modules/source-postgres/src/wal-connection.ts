/**
 * One replication connection, through pg-logical-replication. Every workaround for that library is here:
 *
 * - Its acknowledgements are never used: with its timer on it confirms what was received, not what is durable; and it
 *   adds one to the position, which would skip a transaction whose commit record starts at the confirmed end of the
 *   one before. Status updates are our own bytes.
 * - Its plugins parse inside the socket's listener, where an exception ends the process. Ours never throws.
 * - Its buffers are slices of the socket's, which are overwritten later: they are decoded before the listener returns.
 * - Its flow control goes on after a failed handler. Here the socket itself is paused, on a bound of bytes.
 * - It does not answer the server's requests for a reply.
 * - Its `stop` may leave the socket open while unread data waits. Ours is destroyed.
 */
import { Socket } from 'node:net';
import { type Clock, type Logger, type Position, SluiceError } from '@sluice/core';
import { type Client, type ClientConfig, type Connection, DatabaseError } from 'pg';
import { LogicalReplicationService } from 'pg-logical-replication';
import { sourceError } from './errors.ts';
import { quoteName } from './quote.ts';
import { highHalf, lowHalf, lsnOfPosition, positionOfLsn } from './position.ts';

export interface WalConnectionOptions {
  readonly client: ClientConfig;
  readonly where: string;
  readonly slot: string;
  readonly publication: string;
  /** Where to start; the server starts at what it knows to be confirmed if that is later. */
  readonly from: Position;
  /** Status updates come at least this often. */
  readonly heartbeatIntervalMs: number;
  readonly readDeadlineMs: number;
  readonly pendingBytesMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** What is durable now; asked at every status update. */
  readonly durable: () => Position;
  /** Gets each message; its bytes are valid during the call. @throws to break the connection off */
  readonly onMessage: (message: Buffer) => void;
  /** The server has sent everything up to here. */
  readonly onKeepalive: (position: Position) => void;
}

const STATUS_INTERVAL_MS = 1_000;
const CLOSE_LIMIT_MS = 500;
const EPOCH_2000_MS = 946_684_800_000;

export class WalConnection {
  readonly #options: WalConnectionOptions;
  readonly #service: LogicalReplicationService;
  /** Ours, below TLS if there is TLS: destroying it ends the connection in whatever state it is. */
  readonly #socket = new Socket();
  #connection: Connection | null = null;
  #failure: SluiceError | null = null;
  #pendingBytes = 0;
  #arrived = false;
  #wake: (() => void) | null = null;
  #paused = false;
  #lastReceivedMs: number;
  #lastStatusMs = 0;
  #lastReported: Position = '';
  #stopTimer: () => void = () => undefined;
  #closing = false;
  #failStart: (error: Error) => void = () => undefined;

  private constructor(options: WalConnectionOptions) {
    this.#options = options;
    this.#lastReceivedMs = options.clock.monotonic();
    const client = { ...options.client, stream: () => this.#socket };
    this.#service = new LogicalReplicationService(client, {
      acknowledge: { auto: false, timeoutSeconds: 0 },
      flowControl: { enabled: false },
    });
  }

  /** Resolves when the server streams. @throws PSYNC_S1146, SLU_S1147, PSYNC_S1121 … */
  static async open(options: WalConnectionOptions): Promise<WalConnection> {
    const { signal, clock, readDeadlineMs, where } = options;
    signal.throwIfAborted();
    const connection = new WalConnection(options);
    signal.addEventListener('abort', connection.#onAbort, { once: true });
    const cancel = clock.timer(readDeadlineMs, () =>
      connection.#giveUp(new SluiceError('SLU_S1151', 'the server did not begin to stream', { where })),
    );
    try {
      await connection.#start();
    } catch (error) {
      await connection.close();
      throw error;
    } finally {
      cancel();
    }
    return connection;
  }

  /** Resolves when something has arrived since the last call, or on abort. @throws what the connection broke off with */
  async arrival(): Promise<void> {
    const { signal } = this.#options;
    while (!this.#arrived && this.#failure === null && !signal.aborted) {
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    if (this.#arrived) this.#arrived = false;
    else if (this.#failure !== null) throw this.#failure;
  }

  /** The consumer has taken everything that arrived: the socket may flow again. */
  taken(): void {
    this.#pendingBytes = 0;
    if (!this.#paused) return;
    this.#paused = false;
    this.#lastReceivedMs = this.#options.clock.monotonic();
    this.#connection?.stream.resume();
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#stopTimer();
    const stream = this.#connection?.stream;
    if (stream !== undefined && this.#failure === null) await this.#farewell();
    const stopped = this.#service.destroy();
    stream?.destroy();
    this.#socket.destroy();
    await this.#atMost(stopped);
  }

  async #atMost(work: Promise<unknown>): Promise<void> {
    const { clock, logger } = this.#options;
    await new Promise<void>((done) => {
      const cancel = clock.timer(CLOSE_LIMIT_MS, done);
      const end = () => {
        cancel();
        done();
      };
      work.then(end, (error: unknown) => {
        logger.debug({ error }, 'the replication connection did not close in order');
        end();
      });
    });
  }

  #start(): Promise<void> {
    const publications = quoteName(this.#options.publication).replaceAll("'", "''");
    const plugin = {
      name: 'pgoutput',
      options: {},
      start: async (client: Client, slot: string, lsn: string) => {
        this.#attach(client);
        await client.query('set client_min_messages = warning');
        const options = `proto_version '1', publication_names '${publications}', messages 'true'`;
        return client.query(`START_REPLICATION SLOT "${slot}" LOGICAL ${lsn} (${options})`);
      },
      parse: (message: Buffer) => this.#receive(message),
    };
    return new Promise((started, failed) => {
      const fail = (error: unknown) => {
        this.#fail(this.#explain(error));
        failed(this.#failure ?? error);
      };
      this.#failStart = failed;
      this.#service.on('start', () => {
        this.#stopTimer = this.#everySecond();
        started();
      });
      this.#service.on('error', fail);
      this.#service.on('heartbeat', (lsn, _sentAt, reply) => this.#keepalive(lsn, reply));
      const from = this.#options.from === '' ? '0/0' : lsnOfPosition(this.#options.from);
      const ended = this.#service.subscribe(plugin, this.#options.slot, from);
      ended.then(() => fail(new SluiceError('SLU_S1151', 'the server ended the stream')), fail);
    });
  }

  #attach(client: Client): void {
    this.#connection = client.connection;
    client.connection.stream.on('data', () => {
      // Registered after the driver's own listener: everything of this turn of the socket has been decoded.
      this.#lastReceivedMs = this.#options.clock.monotonic();
      if (this.#pendingBytes > this.#options.pendingBytesMax && !this.#paused) {
        this.#paused = true;
        client.connection.stream.pause();
      }
      if (this.#arrived) this.#wakeUp();
    });
    client.on('notice', (notice) => {
      if (notice.routine === SKIPS_PUBLICATION)
        this.#fail(missingPublication(this.#options, notice.message ?? 'it does not exist', notice));
    });
    client.connection.once('end', () => this.#fail(new SluiceError('SLU_S1151', 'the connection ended')));
  }

  #receive(message: Buffer): void {
    if (this.#failure !== null) return;
    this.#pendingBytes += message.length;
    try {
      this.#options.onMessage(message);
      this.#arrived = true;
    } catch (error) {
      this.#fail(this.#explain(error));
    }
  }

  #keepalive(lsn: string, reply: boolean): void {
    // It may say that all is sent up to a position before which something was left out.
    if (this.#failure !== null) return;
    this.#options.onKeepalive(positionOfLsn(lsn));
    this.#arrived = true;
    if (reply) this.#sendStatus(false);
  }

  readonly #wakeUp = (): void => {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  };

  #fail(error: SluiceError): void {
    if (this.#closing) return;
    this.#failure ??= error;
    this.#stopTimer();
    this.#wakeUp();
  }

  readonly #onAbort = (): void => {
    this.#failStart(this.#options.signal.reason as Error);
    this.#wakeUp();
  };

  #giveUp(error: SluiceError): void {
    this.#fail(error);
    this.#failStart(error);
    this.#socket.destroy();
  }

  #explain(error: unknown): SluiceError {
    return explainStreamError(error, this.#options);
  }

  #everySecond(): () => void {
    const { clock } = this.#options;
    let cancel = () => undefined as void;
    const tick = () => {
      this.#tick();
      if (this.#failure === null) cancel = clock.timer(STATUS_INTERVAL_MS, tick);
    };
    cancel = clock.timer(STATUS_INTERVAL_MS, tick);
    return () => cancel();
  }

  /** Reports progress, asks a silent server for a sign of life, and gives up on one that does not answer. */
  #tick(): void {
    const { clock, heartbeatIntervalMs, readDeadlineMs } = this.#options;
    const now = clock.monotonic();
    const silentMs = this.#paused ? 0 : now - this.#lastReceivedMs;
    if (silentMs > readDeadlineMs) {
      const seconds = Math.round(silentMs / 1000);
      const { where } = this.#options;
      return this.#giveUp(new SluiceError('SLU_S1151', `the server was silent for ${seconds} s`, { where }));
    }
    const sinceStatus = now - this.#lastStatusMs;
    const moved = this.#options.durable() !== this.#lastReported;
    if (moved || sinceStatus >= heartbeatIntervalMs) this.#sendStatus(silentMs >= heartbeatIntervalMs);
  }

  #sendStatus(askReply: boolean): void {
    const stream = this.#connection?.stream;
    if (stream === undefined || !stream.writable || this.#closing || this.#failure !== null) return;
    this.#lastStatusMs = this.#options.clock.monotonic();
    this.#lastReported = this.#options.durable();
    stream.write(statusUpdate(this.#lastReported, this.#options.clock.now(), askReply));
  }

  /** The last word to the server is what is durable, so that little is sent again at the next start. */
  async #farewell(): Promise<void> {
    const { clock, durable } = this.#options;
    const stream = this.#connection?.stream;
    if (stream === undefined || !stream.writable) return;
    const status = statusUpdate(durable(), clock.now(), false);
    await this.#atMost(new Promise((written) => stream.write(status, written)));
  }
}

/** A CopyData message with a standby status update: written, flushed and applied are all what is durable here. */
function statusUpdate(durable: Position, nowMs: number, askReply: boolean): Buffer {
  const message = Buffer.alloc(39);
  message[0] = 0x64;
  message.writeUInt32BE(38, 1);
  message[5] = 0x72;
  for (const at of [6, 14, 22]) {
    message.writeUInt32BE(highHalf(durable), at);
    message.writeUInt32BE(lowHalf(durable), at + 4);
  }
  message.writeBigInt64BE(BigInt(nowMs - EPOCH_2000_MS) * 1000n, 30);
  message[38] = askReply ? 1 : 0;
  return message;
}

interface StreamNames {
  readonly slot: string;
  readonly publication: string;
  readonly where: string;
}

/** The versions of Postgres word the loss of a slot differently, under one SQLSTATE that says no more. */
const LOST_SLOT =
  /replication slot .* does not exist|cannot read from logical replication slot|can no longer (get changes|access)|invalidated|has already been removed/i;

/**
 * The function of the server that warns, from Postgres 18 on, that it leaves out what a missing publication would have
 * published. Before, that was an error. Unlike the words, it is the same in every language.
 */
const SKIPS_PUBLICATION = 'LoadPublications';

function missingPublication({ publication, where }: StreamNames, message: string, cause: unknown): SluiceError {
  return new SluiceError('PSYNC_S1141', `publication ${publication}: ${message}`, { where, cause });
}

/** What the server says when a stream cannot start or go on. */
function explainStreamError(error: unknown, names: StreamNames): SluiceError {
  const { slot, where } = names;
  const known = sourceError(error, where);
  const detail = error instanceof DatabaseError && error.detail !== undefined ? ` (${error.detail})` : '';
  const message = `${known.message}${detail}`;
  const details = { where, cause: error };
  if (/active for PID/i.test(message)) return new SluiceError('SLU_S1147', message, details);
  if (LOST_SLOT.test(message)) {
    return new SluiceError('PSYNC_S1146', `replication slot ${slot}: ${message}`, details);
  }
  if (/publication .* does not exist/i.test(message)) {
    return missingPublication(names, message, error);
  }
  if (known.code === 'PSYNC_S1120' || /Connection terminated/.test(message)) {
    return new SluiceError('SLU_S1151', message, details);
  }
  return known;
}

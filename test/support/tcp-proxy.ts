import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from './eventually.js';

/** Of the client that connects to the proxy. */
export type Direction = 'sent' | 'received';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

const HOST = '127.0.0.1';

/** A wire between a client and a server of this machine that can be cut, stopped up and made long. */
export class TcpProxy {
  /** Milliseconds that every piece is under way; pieces stay in their order. */
  delayMs = 0;
  private readonly pairs = new Set<Pair>();
  private readonly held = new Set<Direction>();
  private isRefusing = false;
  private openedCount = 0;
  private heldBytes: Record<Direction, number> = { sent: 0, received: 0 };
  private readonly waiting = new Set<() => void>();

  private constructor(
    private readonly listener: Server,
    readonly port: number,
    /** The port that new connections go to. */
    public target: number,
  ) {
    listener.on('connection', (client) => this.joined(client));
  }

  static async to(target: number): Promise<TcpProxy> {
    const listener = createServer().listen(0, HOST);
    await once(listener, 'listening');
    const address = listener.address();
    if (address === null || typeof address === 'string') throw new Error('a listening server has a port');
    return new TcpProxy(listener, address.port, target);
  }

  get url(): string {
    return `redis://${HOST}:${this.port}`;
  }

  /** Connections through it that are open. */
  get connections(): number {
    return this.pairs.size;
  }

  /** Connections there have been. */
  get opened(): number {
    return this.openedCount;
  }

  /** Resolves once there have been so many. */
  async openedAtLeast(count: number): Promise<void> {
    await eventually(() => this.openedCount >= count, `${count} connections through the proxy`);
  }

  /** Breaks every connection that is open. */
  cut(): void {
    for (const { client, server } of this.pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** New connections are broken at once. */
  refuse(): void {
    this.isRefusing = true;
  }

  accept(): void {
    this.isRefusing = false;
  }

  /** Keeps what comes from now on, so that both ends believe in a connection that carries nothing. */
  hold(...directions: Direction[]): void {
    for (const direction of directions.length === 0 ? (['sent', 'received'] as const) : directions) {
      this.held.add(direction);
      this.heldBytes[direction] = 0;
    }
  }

  /** Resolves once something is kept in this direction. */
  async holds(direction: Direction): Promise<void> {
    await eventually(() => this.heldBytes[direction] > 0, `bytes that the proxy holds, ${direction} by the client`);
  }

  /** Lets what is kept go on its way. */
  release(): void {
    this.held.clear();
    for (const go of this.waiting) go();
    this.waiting.clear();
  }

  async close(): Promise<void> {
    this.listener.close();
    this.cut();
    this.release();
    await eventually(() => this.pairs.size === 0, 'the end of all connections through the proxy');
  }

  private joined(client: Socket): void {
    this.openedCount++;
    if (this.isRefusing) {
      client.destroy();
      return;
    }
    const pair = { client, server: connect(this.target, HOST) };
    this.pairs.add(pair);
    this.carry('sent', pair.client, pair.server);
    this.carry('received', pair.server, pair.client);
  }

  private carry(direction: Direction, from: Socket, to: Socket): void {
    let before: Promise<void> = Promise.resolve();
    from.setNoDelay(true);
    from.on('error', () => undefined);
    from.on('data', (bytes) => {
      if (this.held.has(direction)) this.heldBytes[direction] += bytes.length;
      before = this.pass(direction, bytes, to, before);
    });
    from.on('close', () => {
      void before.then(() => {
        to.end();
        to.destroySoon();
      });
      for (const pair of this.pairs) if (pair.client.destroyed && pair.server.destroyed) this.pairs.delete(pair);
    });
  }

  private async pass(direction: Direction, bytes: Buffer, to: Socket, before: Promise<void>): Promise<void> {
    const delayed = this.delayMs === 0 ? undefined : pause(this.delayMs);
    await before;
    await delayed;
    while (this.held.has(direction) && !to.destroyed) await new Promise<void>((go) => this.waiting.add(go));
    if (!to.destroyed) to.write(bytes);
  }
}

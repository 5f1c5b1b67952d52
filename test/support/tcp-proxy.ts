import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from './eventually.js';

/** Of the client that connects to the proxy. */
export type Direction = 'sent' | 'received';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  isSilent: boolean;
}

const HOST = '127.0.0.1';

/** A wire between a client and a server of this machine that can be cut, stopped up and made long. */
export class TcpProxy {
  /** Milliseconds that every piece is under way; pieces stay in their order. */
  delayMs = 0;
  private readonly pairs = new Set<Pair>();
  private readonly held = new Set<Direction>();
  private isRefusing = false;
  private lastWords: string | null = null;
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

  /** The next connection over which a client sends this carries nothing from then on, this included. */
  silenceAt(lastWords: string): void {
    this.lastWords = lastWords;
    this.heldBytes = { sent: 0, received: 0 };
  }

  /** Resolves once something is kept in this direction. */
  async holds(direction: Direction): Promise<void> {
    await eventually(() => this.heldBytes[direction] > 0, `bytes that the proxy holds, ${direction} by the client`);
  }

  /** Lets what is kept go on its way. */
  release(): void {
    this.held.clear();
    for (const pair of this.pairs) pair.isSilent = false;
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
    const pair = { client, server: connect(this.target, HOST), isSilent: false };
    this.pairs.add(pair);
    this.carry('sent', pair);
    this.carry('received', pair);
  }

  private carry(direction: Direction, pair: Pair): void {
    const [from, to] = direction === 'sent' ? [pair.client, pair.server] : [pair.server, pair.client];
    let before: Promise<void> = Promise.resolve();
    from.setNoDelay(true);
    from.on('error', () => undefined);
    from.on('data', (bytes) => {
      if (direction === 'sent' && this.lastWords !== null && bytes.includes(this.lastWords)) {
        pair.isSilent = true;
        this.lastWords = null;
      }
      if (this.holdsBack(direction, pair)) this.heldBytes[direction] += bytes.length;
      before = this.pass(bytes, to, before, () => !this.holdsBack(direction, pair));
    });
    from.on('close', () => {
      void before.then(() => {
        to.end();
        to.destroySoon();
      });
      for (const each of this.pairs) if (each.client.destroyed && each.server.destroyed) this.pairs.delete(each);
    });
  }

  private holdsBack(direction: Direction, pair: Pair): boolean {
    return pair.isSilent || this.held.has(direction);
  }

  private async pass(bytes: Buffer, to: Socket, before: Promise<void>, passes: () => boolean): Promise<void> {
    const delayed = this.delayMs === 0 ? undefined : pause(this.delayMs);
    await before;
    await delayed;
    while (!passes() && !to.destroyed) await new Promise<void>((go) => this.waiting.add(go));
    if (!to.destroyed) to.write(bytes);
  }
}

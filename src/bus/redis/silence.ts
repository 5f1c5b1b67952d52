import { type Clock, NS_PER_MS } from '../../clock.js';

export interface SilenceOptions {
  readonly clock: Clock;
  /** How long a command may take. */
  readonly longestMs: number;
  /** How long the server may wait before it replies to a read. */
  readonly readWaitMs: number;
}

/** Tells when nothing was heard of the server for too long, on connections that look sound: it owes a reply, or this thread had no time to listen, and a lease has lapsed either way. */
export class Silence {
  private heardNs: number;
  private readSinceNs: number | null = null;

  constructor(private readonly options: SilenceOptions) {
    this.heardNs = options.clock.monotonicNs();
  }

  /** A command that was given then has its reply. */
  heard(askedNs: number): void {
    this.heardNs = askedNs;
  }

  /** A read, during which its reply is owed. */
  async during<T>(read: () => Promise<T>): Promise<T> {
    this.readSinceNs = this.options.clock.monotonicNs();
    try {
      return await read();
    } finally {
      this.readSinceNs = null;
    }
  }

  get isTooLong(): boolean {
    const { clock, longestMs, readWaitMs } = this.options;
    const nowNs = clock.monotonicNs();
    const isReadLate = this.readSinceNs !== null && nowNs - this.readSinceNs > (longestMs + readWaitMs) * NS_PER_MS;
    return isReadLate || nowNs - this.heardNs > longestMs * NS_PER_MS;
  }
}

import { EventEmitter } from 'eventemitter3';
import type { Logger } from '../log.js';
import type { BusCounts } from './intake.js';
import type { BusEvents } from './message-bus.js';

/** How a bus fares, told in its counts, in the log and by events: once for every change. */
export class BusStatus {
  readonly events = new EventEmitter<BusEvents>();

  /** `server` names it without credentials. */
  constructor(
    readonly server: string,
    private readonly counts: BusCounts,
    private readonly logger: Logger,
  ) {}

  up(): void {
    const { server } = this;
    this.counts.state = 'up';
    this.logger.info({ server }, 'the bus is up');
    this.events.emit('busUp', { server });
  }

  down(code: string, reason: string): void {
    if (this.counts.state === 'down') return;
    this.counts.state = 'down';
    const down = { server: this.server, code, reason };
    this.logger.warn(down, 'the bus is down: direct calls are served, and it is tried again');
    this.events.emit('busDown', down);
  }

  standBy(reason: string): void {
    if (this.counts.state === 'standby') return;
    this.counts.state = 'standby';
    const down = { server: this.server, code: 'STANDBY', reason };
    this.logger.info(down, 'the bus stands by');
    this.events.emit('busDown', down);
  }

  /** `missing`: null where nobody can count it. */
  gap(missing: number | null, reason: string): void {
    this.counts.missing += missing ?? 0;
    const gap = { server: this.server, missing, reason };
    this.logger.warn(gap, 'messages are missing');
    this.events.emit('busGap', gap);
  }
}

import { EventEmitter } from 'eventemitter3';
import type { OrchestratorError } from '../errors.js';
import type { Logger } from '../log.js';
import type { IgnoredKind } from './dialect.js';
import { IgnoredNames } from './ignored-names.js';
import type { BusCounts } from './intake.js';
import type { BusEvents } from './message-bus.js';
import { RefusalNotice } from './refusal-notice.js';

/** How a bus fares, told in its counts, in the log and by events: once for every change. */
export class BusStatus {
  readonly events = new EventEmitter<BusEvents>();
  private readonly ignoredNames = new IgnoredNames();
  private readonly refusals = new RefusalNotice((refusals) => {
    const refused = { server: this.server, ...refusals };
    this.logger.warn(refused, 'messages were refused');
    this.events.emit('busRefused', refused);
  });

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

  refused(error: OrchestratorError): void {
    this.refusals.add(error);
  }

  ignored(what: IgnoredKind): void {
    this.counts.ignored++;
    if (!this.ignoredNames.isNew(what)) return;
    const ignored = { server: this.server, ...what };
    const hint = what.setting === null ? '' : `: ${what.setting} would take it`;
    this.logger.info(ignored, `such messages are ignored${hint}`);
    this.events.emit('busIgnored', ignored);
  }

  heartbeatsStopped(intervalMs: number): void {
    const stopped = { server: this.server, intervalMs };
    this.logger.warn(stopped, 'three heartbeats are missing: their sender may publish nothing any more');
    this.events.emit('heartbeatsStopped', stopped);
  }

  heartbeatsResumed(silentMs: number): void {
    const resumed = { server: this.server, silentMs };
    this.logger.info(resumed, 'heartbeats come again');
    this.events.emit('heartbeatsResumed', resumed);
  }

  /** Tells what has not been told yet. */
  end(): void {
    this.refusals.end();
  }
}

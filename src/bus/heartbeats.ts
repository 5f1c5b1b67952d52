import { NS_PER_MS } from '../clock.js';

/**
 * Intervals that are looked at; the longest of them counts, since senders may take turns, or send
 * several at once.
 */
const INTERVALS = 4;
/** Three are missed once half of the next interval has passed. */
const INTERVALS_MAX = 3.5;

export interface HeartbeatListener {
  /** None came for three and a half intervals. */
  readonly onStopped: (intervalMs: number) => void;
  readonly onResumed: (silentMs: number) => void;
}

/**
 * Tells when heartbeats stop, and when they come again. How far apart they are is learned from
 * those that came: from two on.
 */
export class Heartbeats {
  private readonly intervalsMs: number[] = [];
  /**
   * When the last was written, in its sender's or the server's milliseconds; null where the next
   * says nothing of an interval.
   */
  private writtenMs: number | null = null;
  private heardNs = 0;
  private isSilent = false;

  constructor(private readonly listener: HeartbeatListener) {}

  /**
   * `writtenMs`: what intervals are measured by, so that those that come late together are no quick
   * ones. `nowNs`: on the monotonic clock.
   */
  heard(writtenMs: number, nowNs: number): void {
    if (this.isSilent) this.listener.onResumed((nowNs - this.heardNs) / NS_PER_MS);
    else if (this.writtenMs !== null) {
      this.intervalsMs.push(writtenMs - this.writtenMs);
      if (this.intervalsMs.length > INTERVALS) this.intervalsMs.shift();
    }
    this.isSilent = false;
    this.writtenMs = writtenMs;
    this.heardNs = nowNs;
  }

  /** Nothing could be heard until now. */
  restart(nowNs: number): void {
    this.writtenMs = null;
    if (!this.isSilent) this.heardNs = nowNs;
  }

  /** To be called while nothing waits to be read: what is unread may be a heartbeat. */
  check(nowNs: number): void {
    const intervalMs = Math.max(0, ...this.intervalsMs);
    if (this.isSilent || intervalMs === 0 || nowNs - this.heardNs <= INTERVALS_MAX * intervalMs * NS_PER_MS) return;
    this.isSilent = true;
    this.listener.onStopped(intervalMs);
  }
}

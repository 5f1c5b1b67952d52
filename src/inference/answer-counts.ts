import { NS_PER_MS } from '../clock.js';
import type { ErrorCode } from '../errors.js';
import type { DegradedReason, EnrichedSignalEvent } from '../market/events.js';

/** What became of the signals so far. */
export interface AnswerTotals {
  readonly answered: number;
  readonly degraded: Readonly<Partial<Record<DegradedReason, number>>>;
  readonly refused: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Answers that came later than `latencyBudgetMs` after their signal. */
  readonly latencyBudgetExceeded: number;
  /** Bars that came after a signal that should have seen them. */
  readonly lateBars: number;
}

/** Counts every answer, and every refusal of a running system, so that neither is ever silent. */
export class AnswerCounts {
  private readonly latencyBudgetNs: number;
  private answered = 0;
  private latencyBudgetExceeded = 0;
  private lateBars = 0;
  private readonly degraded: Partial<Record<DegradedReason, number>> = {};
  private readonly refused: Partial<Record<ErrorCode, number>> = {};

  constructor(latencyBudgetMs: number) {
    this.latencyBudgetNs = latencyBudgetMs * NS_PER_MS;
  }

  countAnswer({ degraded, latencyNs }: EnrichedSignalEvent): void {
    this.answered++;
    if (degraded !== undefined) this.degraded[degraded] = (this.degraded[degraded] ?? 0) + 1;
    if (latencyNs > this.latencyBudgetNs) this.latencyBudgetExceeded++;
  }

  countRefusal(code: ErrorCode): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1;
  }

  countLateBar(): void {
    this.lateBars++;
  }

  get totals(): AnswerTotals {
    const { answered, latencyBudgetExceeded, lateBars } = this;
    return { answered, degraded: { ...this.degraded }, refused: { ...this.refused }, latencyBudgetExceeded, lateBars };
  }
}

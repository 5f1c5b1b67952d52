import type { ErrorCode } from '../errors.js';
import type { DegradedReason } from '../market/events.js';
import type { Enrichment } from './enricher.js';

/** What became of the signals so far. */
export interface AnswerTotals {
  readonly answered: number;
  readonly degraded: Readonly<Partial<Record<DegradedReason, number>>>;
  readonly refused: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Answers whose evaluation took longer than `latencyBudgetMs`. */
  readonly latencyBudgetExceeded: number;
}

/** Counts every answer and every refusal, so that neither is ever silent. */
export class AnswerCounts {
  private answered = 0;
  private latencyBudgetExceeded = 0;
  private readonly degraded: Partial<Record<DegradedReason, number>> = {};
  private readonly refused: Partial<Record<ErrorCode, number>> = {};

  constructor(private readonly latencyBudgetMs: number) {}

  countAnswer({ answer, inference }: Enrichment): void {
    this.answered++;
    if (answer.degraded !== undefined) this.degraded[answer.degraded] = (this.degraded[answer.degraded] ?? 0) + 1;
    if (inference?.exceedsLatencyBudget(this.latencyBudgetMs)) this.latencyBudgetExceeded++;
  }

  countRefusal(code: ErrorCode): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1;
  }

  get totals(): AnswerTotals {
    const { answered, latencyBudgetExceeded } = this;
    return { answered, degraded: { ...this.degraded }, refused: { ...this.refused }, latencyBudgetExceeded };
  }
}

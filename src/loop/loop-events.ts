import type { OutcomeEvent, RetrainTrigger } from '../market/events.js';
import type { Verdict } from '../retrain/verdict.js';
import type { TrainingProgress } from '../training/train-model.js';
import type { LookAheadFigures } from '../validation/look-ahead.js';

/** Events of the closed loop. */
export interface LoopEvents {
  /** Once for every followed signal, when its barriers are met or it ends otherwise; statistics wait until its horizon has closed. */
  outcomeResolved: (outcome: OutcomeEvent) => void;
  /**
   * A bar came after a signal that should have seen it, by their times: nothing is learned from
   * that signal.
   */
  barLate: (late: { readonly instrumentId: string; readonly closeNs: bigint }) => void;
  /**
   * Live sides seem to know the bar that their outcomes begin with; told again after a window of
   * signals at the earliest.
   */
  lookAheadSuspected: (figures: LookAheadFigures) => void;
  /** A retrain is due; it runs by itself unless `retrain.mode` is 'manual'. */
  retrainTriggered: (trigger: RetrainTrigger) => void;
  trainingProgress: (progress: TrainingProgress) => void;
  /** A decision about a model is durable; what it installs is published next. */
  verdict: (verdict: Verdict) => void;
  rolledBack: (rollback: RolledBack) => void;
}

export interface RolledBack {
  readonly from: string;
  readonly to: string;
  /** 'evidence': bets on the model before have won; 'manual': by request. */
  readonly reason: 'evidence' | 'manual';
  /** Evidence for the model before, as an e-value. */
  readonly eValue: number;
}

/** What was found when the state was restored. */
export interface RestoredState {
  readonly instruments: number;
  /** Bars put back into the windows. */
  readonly bars: number;
  /** Recorded so far, and those of them whose horizon has not closed. */
  readonly signals: number;
  readonly openSignals: number;
  readonly championId: string;
  readonly previousId: string;
}

import type { Logger } from '../log.js';
import type { EnrichedSignalEvent } from '../market/events.js';
import { Evaluation } from '../shared-memory/evaluation.js';
import type { AdmittedSignal } from './admission.js';
import { type AnswerDesk, obstacleOf } from './answer-desk.js';
import type { SignalEvaluator } from './evaluator.js';
import type { ModelFollower } from './model-follower.js';

/** Evaluation on the main thread, on the caller's stack. */
export class InlineEvaluation {
  private readonly evaluation: Evaluation;

  constructor(
    private readonly models: ModelFollower,
    private readonly evaluator: SignalEvaluator,
    private readonly desk: AnswerDesk,
    private readonly logger: Logger,
    columnCount: number,
  ) {
    this.evaluation = new Evaluation(columnCount);
  }

  /** What the last evaluation took, without the answer around it. */
  get lastNs(): number {
    return this.evaluation.featureNs + this.evaluation.predictionNs;
  }

  /** Never throws: an evaluation that fails is answered as one that a worker died on. */
  answer(signal: AdmittedSignal, startNs: number): EnrichedSignalEvent {
    const served = this.models.current();
    if (!signal.isOpen) return this.desk.answerWithout(signal, served, startNs, obstacleOf(signal));
    try {
      this.evaluator.evaluate(signal, served, this.evaluation);
    } catch (error) {
      const reason = error instanceof Error ? error.message : typeof error;
      this.logger.error({ reason, signalId: signal.signalId }, 'an evaluation failed');
      return this.desk.answerWithout(signal, served, startNs, 'worker-failed');
    }
    return this.desk.answer(signal, this.evaluation, startNs);
  }
}

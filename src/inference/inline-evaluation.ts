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
    columnCount: number,
  ) {
    this.evaluation = new Evaluation(columnCount);
  }

  answer(signal: AdmittedSignal, startNs: number): EnrichedSignalEvent {
    const served = this.models.current();
    if (!signal.isOpen) return this.desk.answerWithout(signal, served, startNs, obstacleOf(signal));
    this.evaluator.evaluate(signal, served, this.evaluation);
    return this.desk.answer(signal, this.evaluation, startNs);
  }
}

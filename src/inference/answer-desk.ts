import type { Clock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import { unreachable } from '../invariant.js';
import type { DegradedReason, EnrichedSignalEvent } from '../market/events.js';
import {
  EVALUATED,
  Evaluation,
  INSUFFICIENT_HISTORY,
  NOT_EVALUATED,
  STALE_WINDOW,
  WORKER_FAILED,
} from '../shared-memory/evaluation.js';
import type { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import { SIZE_REASONS } from '../sizing/position-sizer.js';
import type { AdmittedSignal } from './admission.js';
import { EnrichedSignal } from './enriched-signal.js';
import { leaveUnknown } from './evaluator.js';
import type { Recording } from './recording.js';
import { modelIdOf, type ServedModel } from './served-model.js';

/** Hears of every answer the moment it is made. */
export interface AnswerListener {
  /** What is to become of the answers that are made now. */
  readonly recording: Recording;
  /** `row`: the feature row the model saw, to be copied by who keeps it; null where nothing was evaluated. */
  answered(answer: EnrichedSignalEvent, signal: AdmittedSignal, row: Float32Array | null): void;
}

/** Makes answers, and tells of each the moment it is made. */
export class AnswerDesk {
  private readonly nothing = new Evaluation(0);
  /** The id that was put together last: most answers in a row are one model's. */
  private modelId = { generation: 0, text: '' };

  constructor(
    private readonly config: Pick<OrchestratorConfig, 'defaultConfidence' | 'defaultRegimeWeight' | 'defaultToxicity'>,
    private readonly store: FeatureStoreWriter,
    private readonly clock: Clock,
    private readonly listener: AnswerListener,
  ) {}

  /** The answer from what was computed. */
  answer(signal: AdmittedSignal, evaluation: Evaluation, startNs: number): EnrichedSignalEvent {
    return this.build(signal, evaluation, startNs, this.degradedBy(signal, evaluation));
  }

  /** The answer to a signal for which nothing is computed, or no longer: flat, or degraded for the reason. */
  answerWithout(
    signal: AdmittedSignal,
    served: ServedModel | null,
    startNs: number,
    degraded: DegradedReason | undefined,
  ): EnrichedSignalEvent {
    leaveUnknown(this.nothing, NOT_EVALUATED, served);
    return this.build(signal, this.nothing, startNs, degraded);
  }

  private build(
    signal: AdmittedSignal,
    evaluation: Evaluation,
    startNs: number,
    obstacle: DegradedReason | undefined,
  ): EnrichedSignalEvent {
    const { config } = this;
    const isEvaluated = evaluation.status === EVALUATED && obstacle === undefined;
    // Above any other reason: by this one it is known that nothing may be learned from it.
    const degraded = signal.isBarMissing ? 'bar-missing' : obstacle;
    const regimeWeight = isEvaluated ? evaluation.regimeWeight : Number.NaN;
    const toxicity = isEvaluated ? evaluation.toxicity : Number.NaN;
    const sizeReason = degraded ?? (isEvaluated ? SIZE_REASONS[evaluation.sizeReason - 1] : 'flat');
    const fields = {
      signalId: signal.signalId,
      signalEvent: signal.event,
      metaConfidence: isEvaluated ? evaluation.confidence : config.defaultConfidence,
      regimeWeight: Number.isNaN(regimeWeight) ? config.defaultRegimeWeight : regimeWeight,
      toxicity: Number.isNaN(toxicity) ? config.defaultToxicity : toxicity,
      size: isEvaluated && degraded === undefined ? evaluation.size : 0,
      sizeReason,
      modelAvailable: evaluation.generation !== 0,
      toxicityAvailable: !Number.isNaN(toxicity),
      regimeAvailable: !Number.isNaN(regimeWeight),
      asOfNs: signal.asOfNs,
      asOfSequence: signal.asOf,
      generation: evaluation.generation,
      modelId: this.modelIdFor(evaluation),
      latencyNs: Math.round(this.clock.monotonicNs() - startNs),
      degraded,
    };
    const answer = new EnrichedSignal(fields, this.listener.recording);
    this.listener.answered(answer, signal, isEvaluated ? evaluation.row : null);
    return answer;
  }

  private modelIdFor({ generation, modelIdHigh, modelIdLow }: Evaluation): string {
    if (generation !== this.modelId.generation) {
      this.modelId = { generation, text: generation === 0 ? '' : modelIdOf(modelIdHigh, modelIdLow) };
    }
    return this.modelId.text;
  }

  /** A worker's word on its window stands only if nothing of the window has been overwritten since. */
  private degradedBy(signal: AdmittedSignal, { status }: Evaluation): DegradedReason | undefined {
    switch (status) {
      case EVALUATED:
        return this.store.hasLapped(signal.instrument, signal.asOf) ? 'stale-window' : undefined;
      case STALE_WINDOW:
        return 'stale-window';
      case INSUFFICIENT_HISTORY:
        return 'insufficient-history';
      case WORKER_FAILED:
        return 'worker-failed';
      case NOT_EVALUATED:
        return obstacleOf(signal);
      default:
        return unreachable(status);
    }
  }
}

/** Why the answer to a signal is degraded before anything was computed; a flat signal needs nothing computed. */
export function obstacleOf(signal: AdmittedSignal): DegradedReason | undefined {
  return signal.side === 0 ? undefined : (signal.obstacle ?? undefined);
}

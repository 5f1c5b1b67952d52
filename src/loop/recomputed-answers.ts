import type { Clock } from '../clock.js';
import { FEATURE_NAMES, type FeatureName } from '../features/feature-row.js';
import { FeatureSet } from '../features/feature-set.js';
import { AdmittedSignal } from '../inference/admission.js';
import { AnswerDesk } from '../inference/answer-desk.js';
import { type EvaluationConfig, SignalEvaluator } from '../inference/evaluator.js';
import type { ServedModel } from '../inference/served-model.js';
import { wholeSecondNs } from '../market/timestamp.js';
import type { ModelBundle } from '../model/bundle.js';
import type { VpinOptions } from '../orderflow/vpin.js';
import { Evaluation } from '../shared-memory/evaluation.js';
import { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import type { StoredBars } from '../shared-memory/stored-bars.js';
import type { SignalRecord } from '../state/records.js';
import { signalRecordOf } from './signal-record.js';

/** Holds a block of bars and the window before its first. */
const RING_BARS = 512;
const INSTRUMENT = 0;

export interface RecomputationParts {
  /** `vpin` is not asked for anything: bars come with the VPIN that was stored with them. */
  readonly config: EvaluationConfig & { readonly vpin: VpinOptions };
  readonly clock: Clock;
}

/** Answers stored signals again, by the code that answered them, on a stretch of stored bars of one instrument. */
export class RecomputedAnswers {
  private readonly store: FeatureStoreWriter;
  private readonly reader: FeatureStoreReader;
  private readonly evaluators = new Map<FeatureSet, { evaluator: SignalEvaluator; evaluation: Evaluation }>();

  /** At most {@link RING_BARS} less two consecutive bars; null for none. */
  constructor(
    private readonly parts: RecomputationParts,
    instrumentId: string,
    bars: StoredBars | null,
  ) {
    const { vpin } = parts.config;
    this.store = new FeatureStoreWriter({ instrumentsMax: 1, barsPerInstrument: RING_BARS, vpin });
    if (bars === null) this.store.register(instrumentId);
    else this.store.restore(instrumentId, bars, this.store.createVpin());
    this.reader = new FeatureStoreReader(this.store.shared);
  }

  /** The record of the signal as it would be written now. Its row is valid until the next call. */
  again(record: SignalRecord, served: ServedModel | null, featureSet: FeatureSet): SignalRecord {
    const { evaluator, evaluation } = this.evaluatorFor(featureSet);
    const signal = this.admitted(record, this.store.tsEventNs(INSTRUMENT, record.asOf));
    evaluator.evaluate(signal, served, evaluation);
    return this.recorded(record, (desk) => desk.answer(signal, evaluation, 0));
  }

  /** The record of a signal for which nothing was computed. */
  without(record: SignalRecord): SignalRecord {
    const signal = this.admitted(record, record.asOfNs);
    return this.recorded(record, (desk) => desk.answerWithout(signal, null, 0, record.degraded ?? undefined));
  }

  private admitted(record: SignalRecord, asOfNs: bigint) {
    const { signalId, instrumentId, side, timestampNs, userValues, asOf, degraded } = record;
    const isBarMissing = degraded === 'bar-missing';
    const event = { instrumentId, signal: side, timestamp: timestampNs, signalId };
    const instantNs = wholeSecondNs(timestampNs);
    return new AdmittedSignal(signalId, event, instantNs, userValues, INSTRUMENT, asOf, asOfNs, null, isBarMissing);
  }

  private recorded({ side, ordinal, rival }: SignalRecord, answer: (desk: AnswerDesk) => unknown): SignalRecord {
    const { config, clock } = this.parts;
    const records: SignalRecord[] = [];
    const desk = new AnswerDesk(config, this.store, clock, {
      recording: { recorded: Promise.resolve() },
      answered: (given, signal, row) =>
        records.push(signalRecordOf({ answer: given, signal, row }, side, ordinal, rival)),
    });
    answer(desk);
    return records[0]!;
  }

  private evaluatorFor(featureSet: FeatureSet): { evaluator: SignalEvaluator; evaluation: Evaluation } {
    const known = this.evaluators.get(featureSet);
    if (known !== undefined) return known;
    const { config, clock } = this.parts;
    const evaluator = new SignalEvaluator(config, this.reader, featureSet, clock);
    const made = { evaluator, evaluation: new Evaluation(featureSet.columnCount) };
    this.evaluators.set(featureSet, made);
    return made;
  }
}

/** The features a bundle was trained on, whatever is configured now; no parameters, since bars come with what those belong to. */
export function featuresOfBundle({ featureNames }: Pick<ModelBundle, 'featureNames'>): FeatureSet {
  const isBuiltIn = (name: string): name is FeatureName => (FEATURE_NAMES as readonly string[]).includes(name);
  return new FeatureSet(
    featureNames.filter(isBuiltIn),
    featureNames.filter((name) => !isBuiltIn(name)),
  );
}

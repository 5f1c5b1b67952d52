import { type FeatureSet, toModelValue } from '../features/feature-set.js';
import { ServedModel } from '../inference/served-model.js';
import type { OutcomeEvent } from '../market/events.js';
import type { ModelBundle } from '../model/bundle.js';
import { RetrainMonitor, type RetrainMonitorOptions } from '../retrain/retrain-monitor.js';
import { RollbackEvidence } from '../retrain/rollback-evidence.js';
import type { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import type { RivalRecord } from '../state/records.js';
import type { GivenAnswer } from './answer-book.js';
import type { ChampionWatchState } from './loop-snapshot.js';

/** What is remembered of an answer until its signal's horizon closes. */
export interface WatchedAnswer {
  readonly modelId: string;
  readonly confidence: number;
  /** Whether a model gave it, on a signal of the kind it was trained on; anything else says nothing about it. */
  readonly isModelAnswer: boolean;
  /** Close of the newest bar the signal saw. */
  readonly asOfNs: bigint;
  readonly rival: RivalRecord | null;
}

/** The champion before, and the evidence that it is better. */
interface Rivalry {
  readonly previous: ServedModel;
  readonly evidence: RollbackEvidence;
}

/**
 * Watches the champion by how its own answers turn out: the monitor for decay, and, while the champion before it is kept warm, the bets on its return.
 * Labels come when their horizons close, never sooner: those that are decided early are not like the others.
 */
export class ChampionWatch {
  private champion: ModelBundle | null = null;
  private rivalry: Rivalry | null = null;
  private modelIds = new Set<string>();
  private serial = 0;
  private labelCount = 0;
  readonly monitor: RetrainMonitor;
  private readonly regimeColumn: number;

  constructor(
    options: RetrainMonitorOptions,
    private readonly featureSet: FeatureSet,
    private readonly reader: FeatureStoreReader,
    state?: ChampionWatchState,
  ) {
    this.monitor = new RetrainMonitor(options, state?.monitor);
    this.regimeColumn = featureSet.names.indexOf('regime');
    this.serial = state?.serial ?? 0;
    this.labelCount = state?.labels ?? 0;
  }

  /** The champion's trees serve on in another standing: nothing about them changes, and answers under either id are theirs. */
  rename(champion: ModelBundle): void {
    this.champion = champion;
    this.modelIds.add(champion.modelId);
  }

  /** A new champion: everything starts anew. */
  adopt(champion: ModelBundle, previous: ModelBundle | null): void {
    const { detectors, baseRate, metrics } = champion;
    const accuracy = champion.kind === 'trees' ? metrics.accuracy : metrics.majorityAccuracy;
    this.monitor.adopt({ detectors, baseRate, accuracy });
    this.labelCount = 0;
    this.serial++;
    this.champion = champion;
    this.modelIds = new Set([champion.modelId]);
    this.rivalry = this.rivalryOf(champion, previous);
  }

  /** Goes on with what was watched when the state was taken. */
  resume(champion: ModelBundle, previous: ModelBundle | null, state: ChampionWatchState): void {
    this.champion = champion;
    this.modelIds = new Set([...state.modelIds, champion.modelId]);
    this.rivalry = this.rivalryOf(champion, previous, state.rollback ?? undefined);
    // Bets that cannot go on are not settled later either.
    if ((this.rivalry === null) !== (state.rollback === null)) this.serial++;
  }

  /** Horizon-closed labels of this champion's answers. */
  get labels(): number {
    return this.labelCount;
  }

  /** Whether the evidence says that the champion before was better. */
  get isRefuted(): boolean {
    return this.rivalry?.evidence.hasRefuted ?? false;
  }

  /** Evidence for the champion before, as an e-value; null while there is none to go back to. */
  get eValue(): number | null {
    return this.rivalry?.evidence.eValue ?? null;
  }

  /** Asks the champion before about the same row, its own regimes in it, and bets on the difference. No bet on a signal whose instrument was followed to a later bar: bets that were settled there would know of it. */
  stakeOn({ answer, signal, row }: GivenAnswer, followedTo: number): RivalRecord | null {
    const { rivalry } = this;
    if (rivalry === null || row === null || answer.degraded !== undefined || followedTo > signal.asOf) return null;
    if (!this.isOwn(answer.modelId, signal.asOfNs)) return null;
    const { previous, evidence } = rivalry;
    const theirs = row.slice();
    if (this.regimeColumn >= 0) {
      const { regime } = previous.contextOf(this.reader.nameOf(signal.instrument));
      const weight = regime?.weightAt(this.reader.columnsOf(signal.instrument), signal.asOf) ?? Number.NaN;
      theirs[this.regimeColumn] = toModelValue(weight);
    }
    const confidence = previous.scorer.confidence(theirs, 0);
    const stake = evidence.stake(answer.metaConfidence, confidence);
    if (stake === null) return null;
    return { modelId: previous.bundle.modelId, confidence, watch: this.serial, stake };
  }

  /** The horizon of an answered signal has closed, or never will. */
  closed(answer: WatchedAnswer, { metaLabel }: OutcomeEvent): void {
    const { rival } = answer;
    if (rival !== null && rival.watch === this.serial && this.rivalry !== null) {
      if (metaLabel === null) this.rivalry.evidence.forfeit(rival.stake);
      else this.rivalry.evidence.settle(rival.stake, metaLabel);
    }
    if (metaLabel === null || !answer.isModelAnswer || !this.isOwn(answer.modelId, answer.asOfNs)) return;
    this.labelCount++;
    this.monitor.recordPrediction({
      actual: metaLabel,
      predicted: answer.confidence >= 0.5 ? 1 : 0,
      confidence: answer.confidence,
    });
  }

  toState(): ChampionWatchState {
    const { serial, labelCount: labels } = this;
    const modelIds = [...this.modelIds];
    return {
      serial,
      modelIds,
      labels,
      monitor: this.monitor.toState(),
      rollback: this.rivalry?.evidence.toState() ?? null,
    };
  }

  /** Whether an answer is the champion's, on a signal later than everything it was trained on. */
  private isOwn(modelId: string, asOfNs: bigint): boolean {
    return this.champion !== null && this.modelIds.has(modelId) && asOfNs > this.champion.trainingEndNs;
  }

  /** Only a model that reads the same rows can be asked about them. */
  private rivalryOf(
    champion: ModelBundle,
    previous: ModelBundle | null,
    state?: ConstructorParameters<typeof RollbackEvidence>[1],
  ): Rivalry | null {
    if (previous === null || previous.featureFingerprint !== this.featureSet.fingerprint) return null;
    return { previous: new ServedModel(0, previous), evidence: new RollbackEvidence(champion.meanConcurrency, state) };
  }
}

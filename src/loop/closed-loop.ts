import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import { toErrorRecord } from '../errors.js';
import type { FeatureSet } from '../features/feature-set.js';
import type { Recording } from '../inference/recording.js';
import { completeTripleBarrier } from '../labeling/barrier.js';
import type { Logger } from '../log.js';
import type { OutcomeEvent } from '../market/events.js';
import type { ModelBundle } from '../model/bundle.js';
import type { ModelPersistence } from '../model/persistence.js';
import type { FollowedSignal } from '../outcomes/followed-signal.js';
import { type SuppliedOutcome, unlabelledOutcome } from '../outcomes/outcome-event.js';
import { OutcomeLedger } from '../outcomes/outcome-ledger.js';
import { TestTokens } from '../retrain/test-tokens.js';
import { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import type { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import type { SignalRecord } from '../state/records.js';
import type { StateStore } from '../state/state-store.js';
import { TrainingAttempts } from '../training/training-attempts.js';
import type { TrainingLoop } from '../training/training-loop.js';
import { AnswerBook, type GivenAnswer, NOT_RECORDED, NOTHING_TO_RECORD } from './answer-book.js';
import { ChampionWatch, type WatchedAnswer } from './champion-watch.js';
import { checkFeatures } from './check-features.js';
import { FeatureEpochs } from './feature-epochs.js';
import { JudgedSignals } from './judged-signals.js';
import { LateBars } from './late-bars.js';
import { LookAheadWatch } from './look-ahead-watch.js';
import type { LoopEvents, RestoredState, RolledBack } from './loop-events.js';
import { type BusPosition, type LoopSnapshot, type StoredConfig, storedConfigOf } from './loop-snapshot.js';
import { ModelKeeper } from './model-keeper.js';
import { monitorOptionsOf } from './monitor-options.js';
import { openSignalsOf } from './open-signals.js';
import { Promotion } from './promotion.js';
import { RECORDED_SIGNALS, RecordedSignals } from './recorded-signals.js';
import { Retrainer } from './retrainer.js';
import { followedSignalOf, signalRecordOf } from './signal-record.js';
import { storedSeries } from './stored-series.js';

export interface ClosedLoopParts {
  readonly config: OrchestratorConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly store: FeatureStoreWriter;
  readonly featureSet: FeatureSet;
  readonly training: TrainingLoop;
  /** null without a data directory: then nothing outlives the process, and there is nothing to retrain on. */
  readonly state: StateStore<LoopSnapshot> | null;
  readonly files: ModelPersistence | null;
  readonly publish: (bundle: ModelBundle, bytes: Uint8Array) => Promise<void>;
  readonly generation: () => number;
  readonly busPosition: () => BusPosition | null;
  /** A bar came after a signal that should have seen it. */
  readonly onLateBar: () => void;
  /** `from`: the model id that served before, '' for none. */
  readonly onPublished: (from: string) => void;
  readonly emit: <E extends keyof LoopEvents>(event: E, ...parameters: Parameters<LoopEvents[E]>) => void;
}

/** Bars after which a rollback that failed is tried again. */
const ROLLBACK_RETRY_BARS = 100;
/** What decisions on their way get to be carried out when the process ends. */
const SETTLE_MS = 5000;

/** From answers to outcomes to the next model: records what was answered, follows it, watches the champion by it, and has models trained, tested, promoted and rolled back. Belongs to the main thread. */
export class ClosedLoop {
  readonly book: AnswerBook;
  readonly keeper: ModelKeeper;
  readonly watch: ChampionWatch;
  readonly promotion: Promotion;
  readonly retrainer: Retrainer;
  readonly lookAhead: LookAheadWatch;
  private readonly ledger: OutcomeLedger<WatchedAnswer>;
  private readonly storedConfig: StoredConfig;
  private readonly tokens: TestTokens;
  private readonly attempts: TrainingAttempts;
  private readonly recorded = new RecordedSignals();
  private nextOrdinal: number;
  private nextVerdict: number;
  private newestNs: bigint;
  private readonly epochs: FeatureEpochs;
  private readonly judged: JudgedSignals;
  /** Of the newest model that was published before this process. */
  readonly generationBefore: number;
  private rollbackPauseBars = 0;
  private isStopped = false;

  constructor(private readonly parts: ClosedLoopParts) {
    const { config, clock, state, emit } = parts;
    const snapshot = state?.snapshot ?? null;
    this.nextOrdinal = snapshot?.nextOrdinal ?? 0;
    this.nextVerdict = snapshot?.nextVerdict ?? 0;
    this.newestNs = snapshot?.newestNs ?? 0n;
    this.generationBefore = snapshot?.generation ?? 0;
    this.epochs = new FeatureEpochs(config.userFeatures, this.nextOrdinal, snapshot?.featureEpochs);
    this.book = new AnswerBook((answers) => this.enter(answers));
    const reader = new FeatureStoreReader(parts.store.shared);
    this.judged = new JudgedSignals(config.labels, reader);
    this.watch = new ChampionWatch(monitorOptionsOf(config, clock), parts.featureSet, reader, snapshot?.watch);
    this.lookAhead = new LookAheadWatch({ ...parts, reader, entry: config.labels.entry });
    this.storedConfig = storedConfigOf(config);
    this.tokens = new TestTokens(config.retrain, snapshot?.tokens);
    this.attempts = new TrainingAttempts(snapshot?.attempts);
    this.keeper = new ModelKeeper({
      files: parts.files,
      journal: state?.journal ?? null,
      clock,
      publish: parts.publish,
      onAdopted: (champion, previous, how) => {
        this.rollbackPauseBars = 0;
        if (how === 'full') this.watch.rename(champion);
        else this.watch.adopt(champion, previous);
        this.retrainer.adopt(champion);
      },
      onPublished: parts.onPublished,
    });
    this.promotion = new Promotion({
      keeper: this.keeper,
      training: parts.training,
      tokens: this.tokens,
      attempts: this.attempts,
      clock,
      record: (verdict) => state?.journal.verdict({ ...verdict, serial: this.nextVerdict++ }),
      onVerdict: (verdict) => emit('verdict', verdict),
      journal: state?.journal ?? null,
    });
    this.retrainer = new Retrainer(this.retrainerParts(), snapshot?.trialAtLabels ?? null);
    this.ledger = new OutcomeLedger({
      reader,
      barrier: completeTripleBarrier(config.labels),
      expiryNs: config.outcomeExpiryNs,
      onResolved: (signal, outcome) => this.resolved(signal, outcome),
      onClosed: (signal, outcome, firstBar) => {
        this.closed(signal, outcome);
        this.lookAhead.closed(signal, outcome, firstBar);
      },
      onLateBar: new LateBars(parts).tell,
    });
  }

  private retrainerParts(): ConstructorParameters<typeof Retrainer>[0] {
    const { config, clock, state, emit, logger } = this.parts;
    const { barsMax, primarySignal } = config.retrain;
    const series = async (source: StateStore<LoopSnapshot>) => {
      this.book.enterAll();
      await source.journal.flush();
      const { userFeatures } = config;
      const namesAt = (ordinal: number): readonly string[] => this.epochs.namesAt(ordinal);
      return storedSeries(source.stored, { barsMax, primarySignal, userFeatures, namesAt, clock });
    };
    return {
      watch: this.watch,
      promotion: this.promotion,
      series: state === null ? null : () => series(state),
      isAutomatic: config.retrain.mode === 'auto',
      alphaPerTest: this.tokens.alphaPerTest,
      logger,
      canTrain: () => this.nextOrdinal > 0 && !this.keeper.isChampionMissing,
      onTriggered: (trigger) => emit('retrainTriggered', trigger),
      onProgress: (progress) => emit('trainingProgress', progress),
    };
  }

  /** Takes up what was recorded: models, open signals, what watches the champion. `bars` is what was put back into the windows. */
  async restore(state: StateStore<LoopSnapshot>, bars: number): Promise<RestoredState> {
    const { logger } = this.parts;
    const { stored, snapshot } = state;
    const usable = (bundle: ModelBundle): void => checkFeatures(bundle, this.parts.featureSet);
    await this.keeper.restore(stored.models(), usable, ({ modelId, role }, code, reason) =>
      logger.error({ code, modelId, role, reason }, 'a stored model cannot be used'),
    );
    const { champion, previous } = this.keeper;
    if (champion !== null && snapshot !== null) this.watch.resume(champion, previous, snapshot.watch);
    const openSignals = snapshot === null ? 0 : this.restoreSignals(state, snapshot);
    const { instruments, signals } = stored.recordCounts();
    const championId = champion?.modelId ?? '';
    return { instruments, bars, signals, openSignals, championId, previousId: previous?.modelId ?? '' };
  }

  /** Goes on with what was due when the process ended. */
  resume(): void {
    this.retrainer.resume();
  }

  /** A bar was published; to be called with each, in order. */
  barAppended(instrument: number, sequence: number): void {
    const { state, store } = this.parts;
    // What was answered before this bar is entered before it.
    this.book.enterAll();
    state?.journal.bar(instrument, sequence);
    const closeNs = store.tsEventNs(instrument, sequence);
    if (closeNs > this.newestNs) {
      this.newestNs = closeNs;
      this.watch.monitor.recordBar();
    }
    this.lookAhead.barAppended(instrument, sequence);
    this.ledger.onBar(instrument, sequence);
    if (this.isStopped) return;
    if (this.watch.isRefuted && this.rollbackPauseBars-- <= 0) this.rollbackByEvidence();
    this.retrainer.check();
  }

  /** Resolves when nothing is trained, tried or installed. */
  async idle(): Promise<void> {
    await this.retrainer.settled();
    await this.keeper.settled();
  }

  /** Takes the user's word for how a signal ended; see {@link OutcomeLedger.recordOutcome}. */
  recordOutcome(signalId: string, supplied: SuppliedOutcome): OutcomeEvent {
    this.book.enterAll();
    const outcome = this.ledger.recordOutcome(signalId, supplied);
    const ordinal = this.ledger.ordinalOf(signalId);
    if (ordinal !== null) this.parts.state?.journal.outcome({ ...outcome, ordinal });
    return outcome;
  }

  /** Puts the champion before back. Rejects with NO_PREVIOUS_MODEL. */
  async rollback(reason: RolledBack['reason'], refutedId?: string): Promise<void> {
    const eValue = this.watch.eValue ?? 1;
    let rolledBack: RolledBack | undefined;
    const decided = (from: string, to: string): void => {
      rolledBack = { from, to, reason, eValue };
      this.promotion.recordRollback(rolledBack);
    };
    const told = (): void => this.parts.emit('rolledBack', rolledBack!);
    await this.keeper.rollback({ decided, told, ...(refutedId !== undefined && { from: refutedId }) });
  }

  private rollbackByEvidence(): void {
    this.rollbackPauseBars = ROLLBACK_RETRY_BARS;
    this.rollback('evidence', this.keeper.champion?.modelId).catch((error: unknown) => {
      const { code, message } = toErrorRecord(error, 'MODEL_NOT_SAVED');
      this.parts.logger.error({ code, reason: message }, 'the refuted champion could not be rolled back');
    });
  }

  /** Cancels what runs in the background, enters every answer and waits until all of it is durable. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.book.enterAll();
    this.retrainer.cancel();
    // A disk that takes nothing must not hold up the end: closing the store gives up what waits for it.
    const timer = new AbortController();
    const settled = this.idle().then(() => timer.abort());
    await Promise.race([settled, pause(SETTLE_MS, undefined, { signal: timer.signal }).catch(() => undefined)]);
  }

  private enter(answers: readonly GivenAnswer[]): Recording {
    const { state } = this.parts;
    let isRecorded = false;
    const records: SignalRecord[] = [];
    for (const given of answers) {
      const side = given.signal.side;
      if (side === 0) continue;
      isRecorded = true;
      if (!this.recorded.add(given.answer.signalId, given.signal.event)) continue;
      const rival = this.judged.has(given.signal)
        ? this.watch.stakeOn(given, this.ledger.followedTo(given.signal.instrument))
        : null;
      const record = signalRecordOf(given, side, this.nextOrdinal++, rival);
      state?.journal.signal(record);
      records.push(record);
    }
    if (!isRecorded) return NOTHING_TO_RECORD;
    // After every bet: a bar that was stored meanwhile may close signals, whose settled bets the waiting ones must know nothing of.
    for (const record of records) this.follow(this.followed(record));
    // Known ids stage nothing, but what they are recorded in may still be on its way.
    state?.journal.touch();
    return state?.journal.staged ?? NOT_RECORDED;
  }

  private follow(signal: FollowedSignal<WatchedAnswer>): void {
    if (this.ledger.follow(signal)) return;
    // Another signal of this id is open. Nobody could tell their outcomes apart.
    const { signalId } = signal;
    this.parts.logger.warn({ signalId }, 'a signal has the id of one that is open, and is not followed');
    const censored = unlabelledOutcome(signal, 'censored');
    this.resolved(signal, censored);
    this.closed(signal, censored);
  }

  private followed(record: SignalRecord): FollowedSignal<WatchedAnswer> {
    const instrument = this.parts.store.indexOf(record.instrumentId);
    return followedSignalOf(record, instrument, this.judged.has({ instrument, asOf: record.asOf }));
  }

  private resolved(signal: FollowedSignal<WatchedAnswer>, outcome: OutcomeEvent): void {
    this.parts.state?.journal.outcome({ ...outcome, ordinal: signal.ordinal });
    this.parts.emit('outcomeResolved', outcome);
  }

  private closed(signal: FollowedSignal<WatchedAnswer>, outcome: OutcomeEvent): void {
    // What a user said may have been completed since, and a signal without a label loses the
    // outcome it was told.
    if (outcome.source === 'user' || outcome.metaLabel === null) {
      this.parts.state?.journal.outcome({ ...outcome, ordinal: signal.ordinal });
    }
    this.watch.closed(signal.payload, outcome);
  }

  /** Goes on following the signals that were open; the others were counted before the snapshot was taken. Their number. */
  private restoreSignals({ stored }: StateStore<LoopSnapshot>, snapshot: LoopSnapshot): number {
    const { openFloor, config } = snapshot;
    const recentFrom = Math.max(0, this.nextOrdinal - RECORDED_SIGNALS);
    const open = openSignalsOf(stored, openFloor, recentFrom, {
      isOver: (record) => this.ledger.isOver(this.followed(record), config.labels.maxHoldingBars),
      onRecent: (record) => this.recorded.add(record.signalId, { ...record, timestamp: record.timestampNs }),
    }).map(({ record, outcome }) => ({ signal: this.followed(record), outcome }));
    if (isDeepStrictEqual(config.labels, this.parts.config.labels)) {
      this.ledger.restore(open);
      return open.length;
    }
    // They asked another question than the one that is now configured: nobody will judge them.
    for (const { signal, outcome } of open) {
      const censored = unlabelledOutcome(signal, 'censored');
      if (outcome === null) this.resolved(signal, censored);
      this.closed(signal, censored);
    }
    return 0;
  }

  /** No signal before this ordinal is open. */
  get openFloor(): number {
    return this.ledger.floor() ?? this.nextOrdinal;
  }

  /** As of now: what is stored with the records staged until now. */
  snapshot(): LoopSnapshot {
    return {
      nextOrdinal: this.nextOrdinal,
      nextVerdict: this.nextVerdict,
      openFloor: this.openFloor,
      generation: Math.max(this.generationBefore, this.parts.generation()),
      newestNs: this.newestNs,
      config: this.storedConfig,
      featureEpochs: this.epochs.toState(),
      watch: this.watch.toState(),
      tokens: this.tokens.toState(),
      attempts: this.attempts.toState(),
      trialAtLabels: this.retrainer.trialAtLabels,
      bus: this.parts.busPosition(),
    };
  }
}

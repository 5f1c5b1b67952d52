import { type Clock, systemClock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import { OrchestratorError, toErrorRecord } from '../errors.js';
import { HISTORY_BARS_MIN } from '../features/feature-columns.js';
import type { FeatureSet } from '../features/feature-set.js';
import { ServedModel } from '../inference/served-model.js';
import type { ModelBundle } from '../model/bundle.js';
import type { StoredBars } from '../shared-memory/stored-bars.js';
import { joinBars, sliceBars } from '../state/bar-blocks.js';
import type { SignalRecord } from '../state/records.js';
import type { StoredInstrument, StoredState } from '../state/stored-state.js';
import { featureSetOf } from '../training/training-plan.js';
import { answerDifferences, areDefaults, degradedDifferences, type FieldDifference } from './answer-differences.js';
import { featuresOfBundle, RecomputedAnswers } from './recomputed-answers.js';
import { ReconcileCounts, type ReconcileReport } from './reconcile-report.js';
import { type InstrumentSignals, SignalIndex } from './signal-index.js';
import { StoredModels } from './stored-models.js';

/** Instruments after which the models start anew: each remembers four kilobytes of every instrument it has seen. */
const INSTRUMENTS_PER_MODEL = 256;

export interface ReconcileOptions {
  readonly dataDir: string;
  /** Its defaults, sizing and cost have to be those of the answers; features come from each answer's own bundle. */
  readonly config: OrchestratorConfig;
}

interface UsableModel {
  readonly bundle: ModelBundle;
  readonly features: FeatureSet;
}

type KeptModel =
  | UsableModel
  | { readonly reason: 'model-forgotten' | 'model-missing' | 'model-damaged'; readonly detail: string };

/**
 * Recomputes every stored answer from its as-of bars, side, user features and bundle with the code that answered it, and compares all that follows from these, the feature row
 * included, bit for bit. Bars are taken with the columns and the VPIN stored with them, so what is checked is the answer, not how those came about. Holds two numbers a signal, one
 * block of bars and the bundles in memory. An owner may be at work meanwhile: what it records later is left out.
 * Rejects with NO_ROWS where no signal is recorded, and as {@link StoredState} throws.
 */
export async function reconcile(stored: StoredState<unknown>, options: ReconcileOptions): Promise<ReconcileReport> {
  const index = new SignalIndex();
  const run = new Reconciliation(stored, options);
  for (const record of stored.signals()) {
    // Without its bar a signal may have been answered by the bars before, or like any other that is
    // degraded.
    if (record.degraded === null || (record.degraded === 'bar-missing' && record.row.length > 0)) index.add(record);
    else run.checkDegraded(record);
  }
  if (index.count + run.counts.signals === 0) {
    throw new OrchestratorError('NO_ROWS', `no signal is recorded under ${options.dataDir}`, { field: 'dataDir' });
  }
  await run.prepare(index.modelIds);
  for (const signals of index.byInstrument()) run.checkInstrument(signals);
  return run.counts.toReport();
}

class Reconciliation {
  readonly counts = new ReconcileCounts();
  private readonly parts: { readonly config: OrchestratorConfig; readonly clock: Clock };
  private readonly configured: FeatureSet;
  private readonly nothing: RecomputedAnswers;
  private readonly models = new Map<string, KeptModel>();
  private instruments: ReadonlyMap<string, StoredInstrument> = new Map();
  /** By generation and id. */
  private served = new Map<string, ServedModel>();
  private instrumentCount = 0;

  constructor(
    private readonly stored: StoredState<unknown>,
    private readonly options: ReconcileOptions,
  ) {
    const { config } = options;
    this.parts = { config, clock: systemClock };
    this.configured = featureSetOf(config);
    this.nothing = new RecomputedAnswers(this.parts, 'none', null);
  }

  /** After the signals were looked at: what they saw was stored before them. */
  async prepare(modelIds: Iterable<string>): Promise<void> {
    this.instruments = new Map(this.stored.instruments().map((one) => [one.instrumentId, one]));
    const files = new StoredModels(this.options.dataDir, this.stored.models());
    for (const modelId of modelIds) this.models.set(modelId, await keptModel(files, modelId));
  }

  checkDegraded(record: SignalRecord): void {
    const differences = degradedDifferences(record, this.nothing.without(record));
    if (differences.length === 0) this.counts.degraded();
    else this.tell(record, differences, { confidence: true, regimeWeight: true, toxicity: true });
  }

  checkInstrument({ instrumentId, ordinals, asOfs }: InstrumentSignals): void {
    if (++this.instrumentCount % INSTRUMENTS_PER_MODEL === 0) this.served = new Map();
    const instrument = this.instruments.get(instrumentId);
    const first = instrument?.firstSequence ?? 0;
    const newest = instrument?.newest ?? -1;
    let next = 0;
    // What was answered without a window cannot be right; what had one that is gone cannot be told.
    for (; next < asOfs.length && asOfs[next]! - HISTORY_BARS_MIN + 1 < first; next++) {
      if (asOfs[next]! < HISTORY_BARS_MIN - 1) this.check(ordinals[next]!, this.nothing);
      else this.cannotSee(ordinals[next]!, first);
    }
    let end = asOfs.length;
    while (end > next && asOfs[end - 1]! > newest) this.sawTooMuch(ordinals[--end]!, newest);
    if (instrument === undefined || next === end) return;
    const from = asOfs[next]! - HISTORY_BARS_MIN + 1;
    for (const { bars, endSequence } of this.windows(instrument, from, asOfs[end - 1]!)) {
      if (asOfs[next]! >= endSequence) continue;
      const answers = new RecomputedAnswers(this.parts, instrumentId, bars);
      for (; next < end && asOfs[next]! < endSequence; next++) this.check(ordinals[next]!, answers);
    }
  }

  /** Block after block, each with the window before its first bar. */
  private *windows(
    instrument: StoredInstrument,
    from: number,
    to: number,
  ): Iterable<{ readonly bars: StoredBars; readonly endSequence: number }> {
    let before: StoredBars | null = null;
    for (const block of this.stored.barsOf(instrument, from, to)) {
      const bars: StoredBars = before === null ? block : joinBars([before, block]);
      const endSequence = block.firstSequence + block.count;
      yield { bars, endSequence };
      before = sliceBars(bars, Math.max(bars.firstSequence, endSequence - HISTORY_BARS_MIN + 1), endSequence);
    }
  }

  private check(ordinal: number, answers: RecomputedAnswers): void {
    const record = this.stored.signal(ordinal);
    if (record === null) {
      this.counts.unknown('signal-forgotten', `signal ${ordinal}`, 'removed by its age or number meanwhile');
      return;
    }
    const model = record.modelId === '' ? null : this.models.get(record.modelId)!;
    if (model !== null && 'reason' in model) {
      this.counts.unknown(model.reason, record.signalId, model.detail);
      return;
    }
    const features = model?.features ?? this.configured;
    const again = answers.again(record, model === null ? null : this.servedModel(record.generation, model), features);
    // Without a bundle nothing says what the columns were but the configuration, if its row is as long.
    const isNamed = model !== null || record.row.length === features.columnCount;
    const differences = answerDifferences(record, again, isNamed ? features.names : null);
    if (differences.length === 0) this.counts.equal(record);
    else
      this.tell(record, differences, {
        confidence: model === null,
        regimeWeight: !record.regimeAvailable && !again.regimeAvailable,
        toxicity: !record.toxicityAvailable && !again.toxicityAvailable,
      });
  }

  private tell(
    record: SignalRecord,
    differences: readonly FieldDifference[],
    missing: { confidence: boolean; regimeWeight: boolean; toxicity: boolean },
  ): void {
    if (areDefaults(differences, missing, this.options.config.sizing.mode === 'linear')) {
      const detail = differences.map((one) => `${one.field} ${one.stored}, now ${one.recomputed}`).join('; ');
      this.counts.unknown('defaults-differ', record.signalId, detail);
    } else this.counts.different(record, differences);
  }

  private cannotSee(ordinal: number, first: number): void {
    const record = this.stored.signal(ordinal);
    const detail = `as of bar ${record?.asOf}, bars are kept from ${first} on`;
    this.counts.unknown('bars-forgotten', record?.signalId ?? `signal ${ordinal}`, detail);
  }

  /** The newest bars are never forgotten: there was no such bar. */
  private sawTooMuch(ordinal: number, newest: number): void {
    const record = this.stored.signal(ordinal);
    if (record === null) return;
    this.counts.different(record, [{ field: 'asOf', stored: `${record.asOf}`, recomputed: `at most ${newest}` }]);
  }

  private servedModel(generation: number, { bundle }: UsableModel): ServedModel {
    const key = `${generation} ${bundle.modelId}`;
    const served = this.served.get(key) ?? new ServedModel(generation, bundle);
    this.served.set(key, served);
    return served;
  }
}

async function keptModel(files: StoredModels, modelId: string): Promise<KeptModel> {
  try {
    const bundle = await files.read(modelId);
    return { bundle, features: featuresOfBundle(bundle) };
  } catch (error) {
    if (!(error instanceof OrchestratorError)) throw error;
    const { code, message } = toErrorRecord(error, 'MODEL_CORRUPT');
    const reason =
      code === 'NO_SUCH_MODEL' ? 'model-forgotten' : code === 'MODEL_NOT_FOUND' ? 'model-missing' : 'model-damaged';
    return { reason, detail: `${message} [${code}]` };
  }
}

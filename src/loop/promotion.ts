import type { Clock } from '../clock.js';
import { OrchestratorError } from '../errors.js';
import { wholeSecondNs } from '../market/timestamp.js';
import type { ModelBundle } from '../model/bundle.js';
import { decodeBundle, encodeBundle } from '../model/bundle-codec.js';
import type { TestTokens } from '../retrain/test-tokens.js';
import type { Verdict } from '../retrain/verdict.js';
import type { InstallHow, VerdictRecord } from '../state/records.js';
import type { TrainingAttempts } from '../training/training-attempts.js';
import type { TrainingLoop, TrainingWishes } from '../training/training-loop.js';
import { TrainingResult } from '../training/training-result.js';
import type { TrainingSeries } from '../training/training-series.js';
import type { RolledBack } from './loop-events.js';
import type { InstallEnd, ModelKeeper } from './model-keeper.js';
import { plainFigures } from './plain-figures.js';

export interface PromotionParts {
  readonly keeper: ModelKeeper;
  readonly training: TrainingLoop;
  readonly tokens: TestTokens;
  readonly attempts: TrainingAttempts;
  readonly clock: Clock;
  readonly record: (verdict: Omit<VerdictRecord, 'serial'>) => void;
  readonly onVerdict: (verdict: Verdict) => void;
  readonly journal: { flush(): Promise<void> } | null;
}

/** Trains models and carries out what is decided on them: the verdict, the error it spent and the model's role become durable in one step, before anything is published. */
export class Promotion {
  constructor(private readonly parts: PromotionParts) {}

  /** Trains on the series and installs or keeps what comes out. Rejects as {@link TrainingLoop.train} and {@link ModelKeeper.install} do. */
  async train(series: TrainingSeries | readonly TrainingSeries[], options: TrainingWishes): Promise<TrainingResult> {
    const { keeper, attempts, tokens } = this.parts;
    const all = [series].flat();
    const ids = all.map(({ instrumentId }) => instrumentId);
    const nowNs = newestOf(all);
    return this.parts.training.inTurn(options.signal, async (turn) => {
      const { champion } = keeper;
      const result = await turn.train(series, {
        ...options,
        attempt: attempts.next(series),
        alpha: tokens.alphaFor(ids, nowNs),
        testedUntilNs: tokens.lastAt(ids),
        ...(champion === null ? {} : { incumbent: encodeBundle(champion) }),
      });
      const reached = result.report.verdict;
      const spend = (): void => {
        if (reached.kind === 'first-model') attempts.count(series);
        else if (reached.gate?.spends) tokens.spend(ids, nowNs);
      };
      const bytes = encodeBundle(result.trained);
      const verdict = await this.conclude(reached, bytes, howOf, champion, spend, options.force === true);
      return new TrainingResult(result.trained, { ...result.report, verdict });
    });
  }

  /** Puts the provisional champion, or a candidate, to the strict test on recorded series. Rejects as {@link TrainingLoop.inTurn} does. */
  async try(series: readonly TrainingSeries[], candidate: Uint8Array | null, signal?: AbortSignal): Promise<Verdict> {
    const { keeper, tokens } = this.parts;
    const ids = series.map(({ instrumentId }) => instrumentId);
    const nowNs = newestOf(series);
    return this.parts.training.inTurn(signal, async (turn) => {
      const { champion } = keeper;
      if (champion === null) throw new OrchestratorError('NO_SUCH_MODEL', 'no champion serves');
      const models = { champion: encodeBundle(champion), candidate };
      const { verdict, bundle } = await turn.try(series, models, {
        alpha: tokens.alphaFor(ids, nowNs),
        testedUntilNs: tokens.lastAt(ids),
      });
      const how = candidate === null ? inPlace : (): InstallHow => 'promoted';
      return this.conclude(verdict, bundle ?? candidate ?? models.champion, how, champion, () => {
        if (verdict.gate?.spends) tokens.spend(ids, nowNs);
      });
    });
  }

  /** Installs a stored model by request, untested; recorded as such. */
  async force(candidate: Uint8Array): Promise<Verdict> {
    const { keeper } = this.parts;
    const { champion } = keeper;
    const bundle = decodeBundle(candidate);
    const bytes = encodeBundle(bundle.kind === 'trees' ? { ...bundle, evidence: 'forced' } : bundle);
    const sentence = `Model ${bundle.modelId} was installed by request, untested.`;
    const verdict: Verdict = { kind: 'strict', verdict: 'forced', installs: bundle.kind, gate: null, sentence };
    return this.conclude(verdict, bytes, howOf, champion, () => undefined, true);
  }

  /** Enters that the champion makes way for the one before. */
  recordRollback({ from, to, reason, eValue }: RolledBack): void {
    const why = reason === 'manual' ? 'by request' : 'the bets on it have multiplied tenfold';
    this.parts.record({
      atNs: this.parts.clock.epochNs(),
      kind: 'rolled-back',
      challengerId: to,
      championId: from,
      sentence: `${from} makes way for ${to}: ${why}.`,
      figures: { eValue, reason },
    });
  }

  /**
   * Carries a verdict out. It is about the champion the model was tested against: if another one has come meanwhile, the model only becomes a candidate, and the verdict says so. What the
   * test has cost is entered even when the model cannot be stored.
   */
  private async conclude(
    verdict: Verdict,
    bytes: Uint8Array,
    how: (verdict: Verdict) => InstallHow,
    champion: ModelBundle | null,
    spend: () => void,
    isRequested = false,
  ): Promise<Verdict> {
    const { keeper, clock, onVerdict, journal } = this.parts;
    const { modelId } = decodeBundle(bytes);
    let final = verdict;
    let isDecided = false;
    const decided = (end: InstallEnd | 'carried-out'): void => {
      isDecided = true;
      if (end === 'kept') final = overtaken(verdict);
      if (end === 'serves-already') final = unchanged(verdict, modelId);
      // The same model on the same data is the same test once more: nothing new was looked at.
      if (end !== 'serves-already') spend();
      this.recordVerdict(final, modelId, champion, clock.epochNs());
    };
    const told = (): void => onVerdict(final);
    // Who asks for a model means it, whichever serves.
    const against = isRequested ? {} : { against: champion?.modelId ?? '' };
    try {
      if (verdict.installs !== null) await keeper.install(bytes, how(verdict), { ...against, decided, told });
      else {
        await keeper.keep(bytes, () => decided('carried-out'));
        told();
      }
    } catch (error) {
      if (!isDecided) {
        decided('kept');
        await journal?.flush();
        told();
      }
      throw error;
    }
    return final;
  }

  private recordVerdict(verdict: Verdict, challengerId: string, champion: ModelBundle | null, atNs: bigint): void {
    const { verdict: kind, sentence } = verdict;
    const figures = plainFigures(verdict.kind === 'first-model' ? verdict.finding : (verdict.gate ?? {}));
    this.parts.record({ atNs, kind, challengerId, championId: champion?.modelId ?? '', sentence, figures });
  }
}

function newestOf(series: readonly TrainingSeries[]): bigint {
  const newestNs = series.reduce((newest, { bars }) => {
    const last = bars.tsEventNs[bars.length - 1] ?? 0n;
    return last > newest ? last : newest;
  }, 0n);
  return wholeSecondNs(newestNs);
}

function howOf(verdict: Verdict): InstallHow {
  if (verdict.verdict === 'forced') return 'forced';
  return verdict.kind === 'first-model' ? 'first-model' : 'promoted';
}

function overtaken(verdict: Verdict): Verdict {
  const sentence = `${verdict.sentence} Meanwhile the champion has changed or the model could not be stored, so it does not serve.`;
  return { ...verdict, verdict: 'overtaken', installs: null, sentence };
}

function unchanged(verdict: Verdict, modelId: string): Verdict {
  const sentence = `${verdict.sentence} It is model ${modelId} once more, which serves already: nothing changes.`;
  return { ...verdict, sentence };
}

function inPlace({ verdict }: Verdict): InstallHow {
  return verdict === 'withdraw' ? 'withdrawn' : 'full';
}

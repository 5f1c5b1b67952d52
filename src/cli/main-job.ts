import type { OrchestratorConfig } from '../config.js';
import type { Logger } from '../log.js';
import { type FalseAlarms, falseAlarmsOf } from '../loop/model-standing.js';
import type { BarSeries } from '../market/bar.js';
import type { EnrichedSignalEvent } from '../market/events.js';
import { ML4TOrchestrator } from '../orchestrator.js';
import { type Alignment, alignmentOf } from '../primary/side-schedule.js';
import type { TrainingProgress } from '../training/train-model.js';
import type { TrainingReport } from '../training/training-report.js';
import { loadPrimary, type Market, type PrimaryChoice } from './market-source.js';
import {
  type LiveMetrics,
  type LiveReturns,
  measureConfidences,
  measureReturns,
  replayLive,
  resolveAnswers,
} from './replay.js';

/** Everything the main job found out; what `--json` prints. */
export interface MainJobReport {
  readonly bars: {
    readonly source: string;
    readonly instrumentId: string;
    readonly primary: string;
    readonly count: number;
    readonly firstNs: bigint;
    readonly lastNs: bigint;
    readonly timestampIs: 'open' | 'close';
    readonly intervalNs: bigint;
    readonly ignoredColumns: readonly string[];
    /** Stamps of bars and sides within 1 ms before a whole second, which count as that second. */
    readonly roundedCount: number;
    readonly trained: number;
    readonly replayed: number;
    /** When the signals were decided, beside the bars they see, and where they are entered. */
    readonly alignment: Alignment;
    readonly entry: OrchestratorConfig['labels']['entry'];
  };
  readonly labels: TrainingReport['labelCounts'];
  readonly lookAhead: TrainingReport['lookAhead'];
  readonly folds: TrainingReport['folds'];
  readonly metrics: Pick<TrainingReport, (typeof METRICS)[number]> & {
    readonly lambda: number;
    readonly meetsMinimumAccuracy: boolean;
  };
  readonly importances: TrainingReport['importances'];
  readonly promotion: TrainingReport['verdict'] & { readonly modelId: string };
  /** How often the served model's detectors are expected to err; null where there were too few labels to set them. */
  readonly detectors: FalseAlarms | null;
  readonly live: {
    readonly enriched: number;
    readonly degraded: Readonly<Record<string, number>>;
    readonly refused: Readonly<Record<string, number>>;
    readonly latencyNs: { readonly p50: number; readonly p99: number; readonly max: number };
    readonly metrics: LiveMetrics;
    readonly returns: LiveReturns;
  };
}

export interface MainJobHooks {
  onProgress(progress: TrainingProgress): void;
  /** The training is over and the replay begins. */
  onTrained(): void;
  onAnswer(answer: EnrichedSignalEvent): void;
}

export interface MainJobResult {
  readonly report: MainJobReport;
  readonly answers: readonly EnrichedSignalEvent[];
}

const METRICS = [
  'nFolds',
  'nSamples',
  'nTest',
  'effectiveN',
  'baseRate',
  'accuracy',
  'majorityAccuracy',
  'auc',
  'aucInterval',
  'aucLong',
  'aucShort',
  'logLoss',
  'baseRateLogLoss',
  'logisticLogLoss',
  'brier',
  'baseRateBrier',
] as const;

const TRAIN_SHARE = 0.7;
const NS_PER_DAY = 86_400_000_000_000;

/** Trains on the first 70 % of the bars and replays the rest bar by bar, as live bars and signals, through the same orchestrator. `primary`: see {@link loadPrimary}. */
export async function runMainJob(
  market: Market,
  primary: PrimaryChoice,
  config: OrchestratorConfig,
  logger: Logger,
  hooks: MainJobHooks,
): Promise<MainJobResult> {
  const { bars, instrumentId } = market;
  const schedule = await loadPrimary(primary, market);
  const cut = Math.floor(bars.length * TRAIN_SHARE);
  const orchestrator = new ML4TOrchestrator(config, { logger });
  orchestrator.events.on('enriched', hooks.onAnswer);
  await orchestrator.start();
  try {
    const sides = schedule.byBar.subarray(0, cut);
    const series = { instrumentId, bars: bars.slice(0, cut), sides, decidedNs: schedule.decidedNs.subarray(0, cut) };
    const result = await orchestrator.train(series, { onProgress: hooks.onProgress });
    hooks.onTrained();
    const answers = await replayLive(orchestrator, instrumentId, bars, schedule, cut);
    const resolved = resolveAnswers(answers, bars, schedule, config.labels);
    const { report } = result;
    const { totals } = orchestrator;
    return {
      answers,
      report: {
        bars: {
          source: market.source,
          instrumentId,
          primary: primary.name,
          count: bars.length,
          firstNs: bars.tsEventNs[0]!,
          lastNs: bars.tsEventNs[bars.length - 1]!,
          timestampIs: market.timestampIs,
          intervalNs: market.intervalNs,
          ignoredColumns: market.ignoredColumns,
          roundedCount: market.roundedCount + schedule.roundedCount,
          trained: cut,
          replayed: bars.length - cut,
          alignment: alignmentOf(schedule, bars),
          entry: config.labels.entry,
        },
        labels: report.labelCounts,
        lookAhead: report.lookAhead,
        folds: report.folds,
        metrics: {
          ...metricsOf(report),
          lambda: report.restraint.lambda,
          meetsMinimumAccuracy: result.meetsMinimumAccuracy(),
        },
        importances: report.importances,
        promotion: { ...report.verdict, modelId: orchestrator.model?.modelId ?? '' },
        detectors: falseAlarmsOf(result.trained, labelsPerDayOf(report.labelCounts.trained, series.bars)),
        live: {
          enriched: totals.answered,
          degraded: totals.degraded,
          refused: totals.refused,
          latencyNs: quantilesOf(answers),
          metrics: measureConfidences(resolved, report.baseRate),
          returns: measureReturns(resolved, config.labels.maxHoldingBars),
        },
      },
    };
  } finally {
    await orchestrator.stop();
  }
}

function labelsPerDayOf(labels: number, { tsEventNs, length }: BarSeries): number {
  return labels / (Number(tsEventNs[length - 1]! - tsEventNs[0]!) / NS_PER_DAY);
}

function metricsOf(report: TrainingReport): Pick<TrainingReport, (typeof METRICS)[number]> {
  return Object.fromEntries(METRICS.map((name) => [name, report[name]])) as Pick<
    TrainingReport,
    (typeof METRICS)[number]
  >;
}

function quantilesOf(answers: readonly EnrichedSignalEvent[]): { p50: number; p99: number; max: number } {
  const latencies = Float64Array.from(answers, (answer) => answer.latencyNs).sort();
  const at = (share: number): number => latencies[Math.max(0, Math.ceil(share * latencies.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

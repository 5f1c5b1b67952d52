import { relative } from 'node:path';
import type { OrchestratorConfig } from '../config.js';
import { OrchestratorError } from '../errors.js';
import type { Logger } from '../log.js';
import type { BarSeries } from '../market/bar.js';
import { loadBarsCsv } from '../market/bars-csv.js';
import type { EnrichedSignalEvent } from '../market/events.js';
import { ML4TOrchestrator } from '../orchestrator.js';
import { PRIMARY_SIGNALS, type PrimarySignalName, primarySides } from '../primary/primary-signal.js';
import type { TrainingProgress } from '../training/train-model.js';
import type { TrainingReport } from '../training/training-report.js';
import {
  type LiveMetrics,
  type LiveReturns,
  measureConfidences,
  measureReturns,
  replayLive,
  resolveAnswers,
} from './replay.js';
import { readSidesCsv, type SideSchedule, scheduleOf } from './sides-csv.js';

export interface MainJobOptions {
  readonly barsPath: string;
  readonly instrumentId: string;
  readonly timestampIs: 'open' | 'close';
  /** A built-in primary signal or the path of a `timestamp,side` file. */
  readonly primary: string;
}

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
    readonly trained: number;
    readonly replayed: number;
  };
  readonly labels: TrainingReport['labelCounts'];
  readonly folds: TrainingReport['folds'];
  readonly metrics: Pick<
    TrainingReport,
    | 'nFolds'
    | 'nSamples'
    | 'effectiveN'
    | 'baseRate'
    | 'accuracy'
    | 'majorityAccuracy'
    | 'auc'
    | 'aucLong'
    | 'aucShort'
    | 'logLoss'
    | 'baseRateLogLoss'
    | 'brier'
    | 'baseRateBrier'
  > & { readonly meetsMinimumAccuracy: boolean };
  readonly importances: TrainingReport['importances'];
  readonly promotion: TrainingReport['verdict'] & { readonly modelId: string };
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

const TRAIN_SHARE = 0.7;

/** Trains on the first 70 % of the bars and replays the rest bar by bar, as live bars and signals, through the same orchestrator. */
export async function runMainJob(
  options: MainJobOptions,
  config: OrchestratorConfig,
  logger: Logger,
  hooks: MainJobHooks,
): Promise<MainJobResult> {
  const { instrumentId, barsPath, timestampIs, primary } = options;
  const file = await loadBarsCsv(barsPath, { instrumentId, timestampIs });
  const { bars } = file;
  const schedule = await loadPrimary(primary, bars);
  const cut = Math.floor(bars.length * TRAIN_SHARE);
  const orchestrator = new ML4TOrchestrator(config, { logger });
  orchestrator.events.on('enriched', hooks.onAnswer);
  await orchestrator.start();
  try {
    const series = { instrumentId, bars: bars.slice(0, cut), sides: schedule.byBar.subarray(0, cut) };
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
          source: relative(process.cwd(), barsPath),
          instrumentId,
          primary,
          count: bars.length,
          firstNs: bars.tsEventNs[0]!,
          lastNs: bars.tsEventNs[bars.length - 1]!,
          timestampIs: file.timestampIs,
          intervalNs: file.intervalNs,
          ignoredColumns: file.ignoredColumns,
          trained: cut,
          replayed: bars.length - cut,
        },
        labels: report.labelCounts,
        folds: report.folds,
        metrics: { ...metricsOf(report), meetsMinimumAccuracy: result.meetsMinimumAccuracy() },
        importances: report.importances,
        promotion: { ...report.verdict, modelId: orchestrator.model?.modelId ?? '' },
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

/** The built-in signal of that name, or the file's. Throws USAGE, or what {@link readSidesCsv} throws. */
export async function loadPrimary(primary: string, bars: BarSeries): Promise<SideSchedule> {
  if ((PRIMARY_SIGNALS as readonly string[]).includes(primary)) {
    return scheduleOf(primarySides(primary as PrimarySignalName, bars), bars);
  }
  if (!primary.includes('.') && !primary.includes('/')) {
    throw new OrchestratorError('USAGE', `--primary ${primary} is none of ${PRIMARY_SIGNALS.join(', ')}, nor a file`, {
      field: 'primary',
    });
  }
  return readSidesCsv(primary, bars);
}

function metricsOf(report: TrainingReport): Omit<MainJobReport['metrics'], 'meetsMinimumAccuracy'> {
  const { nFolds, nSamples, effectiveN, baseRate, accuracy, majorityAccuracy, auc, aucLong, aucShort } = report;
  const { logLoss, baseRateLogLoss, brier, baseRateBrier } = report;
  return {
    nFolds,
    nSamples,
    effectiveN,
    baseRate,
    accuracy,
    majorityAccuracy,
    auc,
    aucLong,
    aucShort,
    logLoss,
    baseRateLogLoss,
    brier,
    baseRateBrier,
  };
}

function quantilesOf(answers: readonly EnrichedSignalEvent[]): { p50: number; p99: number; max: number } {
  const latencies = Float64Array.from(answers, (answer) => answer.latencyNs).sort();
  const at = (share: number): number => latencies[Math.max(0, Math.ceil(share * latencies.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

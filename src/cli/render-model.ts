import type { OrchestratorConfig } from '../config.js';
import type { ModelBundle } from '../model/bundle.js';
import type { Alignment } from '../primary/side-schedule.js';
import type { RegimeModel } from '../regime/regime-model.js';
import type { TrainingResult } from '../training/training-result.js';
import { describeAlignment, describeRounded, isoTime, lookAheadWarning } from './render.js';

/** How the files of a training were understood. */
export interface Understood {
  readonly roundedCount: number;
  readonly alignment: Alignment;
  readonly entry: OrchestratorConfig['labels']['entry'];
}

/** What `ml4t train` says when it is done. */
export function renderTraining(result: TrainingResult, directory: string, understood: Understood): string {
  const { roundedCount, alignment, entry } = understood;
  const { report, model } = result;
  const stored = model === null ? 'nothing stored' : `model ${model.modelId} stored in ${directory}`;
  const rounded = roundedCount > 0 ? [describeRounded(roundedCount)] : [];
  const figures = `${report.nSamples} labelled signals, ${report.nFolds} folds. ${report.verdict.sentence}`;
  return [...rounded, describeAlignment(alignment, entry), ...lookAheadWarning(report.lookAhead), figures, stored].join(
    '\n',
  );
}

/** What `ml4t inspect` shows; the bundle has passed every check by then. */
export function renderBundle(bundle: ModelBundle): string {
  const { labels, metrics } = bundle;
  const rows = [
    ['model', bundle.modelId],
    [
      'kind',
      bundle.kind === 'trees'
        ? `${bundle.forest.treeCount} trees of depth ${bundle.forest.depth}`
        : `base rate ${bundle.baseRate}`,
    ],
    ['created', isoTime(bundle.createdAtNs)],
    [
      'trained on',
      `${bundle.instrumentIds.join(', ')}, ${isoTime(bundle.trainingStartNs)} to ${isoTime(bundle.trainingEndNs)}`,
    ],
    ['features', `${bundle.featureNames.length} (fingerprint ${bundle.featureFingerprint})`],
    [
      'labels',
      `profit ${labels.ptMultiplier} ATR, stop ${labels.slMultiplier} ATR, horizon ${labels.maxHoldingBars} bars, cost ${labels.costBps} bps`,
    ],
    [
      'trust',
      `lambda ${bundle.calibration.lambda.toFixed(3)} (base rate ${bundle.baseRate.toFixed(3)}), evidence ${bundle.evidence}`,
    ],
    ['edge', `E[R | p] = ${bundle.edge.intercept.toFixed(3)} + ${bundle.edge.slope.toFixed(3)} p`],
    ['regimes', bundle.regime === null ? 'none' : describeRegimes(bundle.regime)],
    [
      'walk-forward',
      `${metrics.nFolds} folds, log-loss ${metrics.logLoss.toFixed(4)} against the base rate's ${metrics.baseRateLogLoss.toFixed(4)}, AUC ${metrics.auc.toFixed(3)}`,
    ],
    ['verified', `checksum, shape and ${bundle.goldenConfidences.length} golden rows`],
  ];
  return rows.map(([name, value]) => `${name!.padEnd(14)}${value!}`).join('\n');
}

/** Each state with its share of time in the long run, from calm to wild. */
function describeRegimes({ names, stationary, weights }: RegimeModel): string {
  return names
    .map((name, state) => `${name} ${(100 * stationary[state]!).toFixed(0)} % (weight ${weights[state]})`)
    .join(', ');
}

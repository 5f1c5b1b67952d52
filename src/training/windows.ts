import { OrchestratorError } from '../errors.js';
import { purgedWalkForward, type WalkForwardSplit } from '../validation/walk-forward.js';
import type { TrainingPlan } from './training-plan.js';
import type { TrainingSet } from './training-set.js';

/** Lengths of the walk-forward's windows, in bars of the calendar. */
export interface WindowSizes {
  readonly trainBars: number;
  readonly testBars: number;
}

/** From this length on, windows are counted in bars; shorter series are cut in proportion, both into at least five folds. */
const LONG_SERIES_BARS = 40_000;
const LONG: WindowSizes = { trainBars: 15_000, testBars: 5_000 };
const SHORT_SHARE = { train: 0.6, test: 0.08 };
/** Share of the bars a challenger is tested on, where the configuration does not say. */
const GATE_SHARE = 0.15;

export function windowSizes(bars: number, plan: Pick<TrainingPlan, 'trainBars' | 'testBars'>): WindowSizes {
  const byLength =
    bars >= LONG_SERIES_BARS
      ? LONG
      : { trainBars: Math.floor(bars * SHORT_SHARE.train), testBars: Math.floor(bars * SHORT_SHARE.test) };
  return { trainBars: plan.trainBars ?? byLength.trainBars, testBars: plan.testBars ?? byLength.testBars };
}

/**
 * The place on the calendar from which on a challenger is tested: the newest `gateBars`, or 15 % of all bars, and nothing that the champion was trained on.
 * The length of the calendar when the champion has seen all of it.
 */
export function gateStart(
  calendarNs: BigInt64Array,
  championEndNs: bigint,
  plan: Pick<TrainingPlan, 'gateBars'>,
): number {
  const seen = calendarNs.findIndex((closeNs) => closeNs > championEndNs);
  const firstUnseen = seen < 0 ? calendarNs.length : seen;
  const wanted = plan.gateBars ?? Math.floor(calendarNs.length * GATE_SHARE);
  return Math.max(firstUnseen, calendarNs.length - wanted);
}

/** The walk-forward's splits that have labels on both sides. Throws INSUFFICIENT_DATA when there is none. */
export function splitFolds(set: TrainingSet, windows: WindowSizes, plan: TrainingPlan): WalkForwardSplit[] {
  const { trainBars, testBars } = windows;
  const { embargoBars: embargo, expanding } = plan;
  const intervals = { start: set.start, end: set.end };
  const splits = [
    ...purgedWalkForward({ intervals, trainSize: trainBars, testSize: testBars, embargo, expanding }),
  ].filter(({ train, test }) => train.length > 0 && test.length > 0);
  if (splits.length > 0) return splits;
  const message = `no fold: ${set.calendarNs.length} bars do not hold a training window of ${trainBars} and a test window of ${testBars} with labels in both`;
  throw new OrchestratorError('INSUFFICIENT_DATA', message, { field: 'training.trainBars' });
}

/** The rows of the newest window of the length that is validated. Throws INSUFFICIENT_DATA when it is empty. */
export function newestWindow(set: TrainingSet, trainBars: number, expanding: boolean): Int32Array {
  const first = expanding ? 0 : set.calendarNs.length - trainBars;
  const rows = Int32Array.from(set.start.keys()).filter((row) => set.start[row]! >= first);
  if (rows.length > 0) return rows;
  throw new OrchestratorError(
    'INSUFFICIENT_DATA',
    `no labelled signal in the newest ${trainBars} bars, which the served model is fitted to`,
    {
      field: 'series',
    },
  );
}

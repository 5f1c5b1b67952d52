import {
  type TripleBarrierLabels,
  type TripleBarrierOptions,
  tripleBarrierLabels,
} from '../labeling/triple-barrier.js';
import { averageTrueRange } from '../market/atr.js';
import type { BarSeries } from '../market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from '../market/events.js';
import type { ML4TOrchestrator } from '../orchestrator.js';
import type { SideSchedule } from '../primary/side-schedule.js';
import { blockBootstrapInterval } from '../validation/block-bootstrap.js';
import { accuracy, brierScore, logLoss, rocAuc } from '../validation/metrics.js';

/** What the served confidences were worth on signals whose horizon has closed. Losses in nats; the base rate is the training window's. */
export interface LiveMetrics {
  readonly n: number;
  readonly winners: number;
  readonly auc: number;
  readonly logLoss: number;
  readonly baseRateLogLoss: number;
  readonly brier: number;
  readonly baseRateBrier: number;
  readonly accuracy: number;
  readonly majorityAccuracy: number;
}

/** Net return per signal and unit of exposure, equal weights against the answers' sizes, as fractions. */
export interface LiveReturns {
  readonly n: number;
  readonly equalWeight: number;
  /** Mean weighted by |size|; NaN when every size is 0. */
  readonly sized: number;
  readonly difference: number;
  /** 95 % interval of the difference by block bootstrap. */
  readonly interval: readonly [number, number];
  readonly blockSignals: number;
  readonly resamples: number;
}

const BOOTSTRAP = { resamples: 2000, level: 0.95, seed: 1 };
/** A block holds this many horizons of signals, so that overlapping labels stay together. */
const BLOCK_HORIZONS = 5;

/** Feeds bars [from, end) one by one as live bars, and between them the signals that were decided by then; answers in order. */
export async function replayLive(
  orchestrator: ML4TOrchestrator,
  instrumentId: string,
  bars: BarSeries,
  schedule: SideSchedule,
  from: number,
): Promise<EnrichedSignalEvent[]> {
  for (let bar = 0; bar < from; bar++) orchestrator.addBar(instrumentId, bars.at(bar));
  const firstNs = bars.tsEventNs[from]!;
  const answers: EnrichedSignalEvent[] = [];
  let next = schedule.timed.findIndex(({ timestampNs }) => timestampNs >= firstNs);
  if (next < 0) next = schedule.timed.length;
  for (let bar = from; bar < bars.length; bar++) {
    orchestrator.addBar(instrumentId, bars.at(bar));
    const untilNs = bar + 1 < bars.length ? bars.tsEventNs[bar + 1]! : null;
    const signals: SignalEvent[] = [];
    for (; next < schedule.timed.length; next++) {
      const { timestampNs, side } = schedule.timed[next]!;
      if (untilNs !== null && timestampNs >= untilNs) break;
      signals.push({ instrumentId, signal: side, timestamp: timestampNs });
    }
    if (signals.length > 0) answers.push(...(await orchestrator.processSignals(signals)));
  }
  return answers;
}

/** An answer beside how its signal turned out. */
export interface ResolvedAnswer {
  readonly answer: EnrichedSignalEvent;
  readonly metaLabel: number;
  readonly netReturn: number;
}

/** Answers whose signal was labelled and whose horizon closed inside the data; of several on one bar, the last. */
export function resolveAnswers(
  answers: readonly EnrichedSignalEvent[],
  bars: BarSeries,
  schedule: SideSchedule,
  options: TripleBarrierOptions,
): ResolvedAnswer[] {
  const labels = tripleBarrierLabels(bars, schedule.byBar, options, averageTrueRange(bars), schedule.decidedNs);
  const byBar = new Map<number, EnrichedSignalEvent>();
  for (const answer of answers) byBar.set(answer.asOfSequence, answer);
  return [...closedLabels(labels)].flatMap((k) => {
    const bar = labels.signalBar[k]!;
    const answer = byBar.get(bar);
    if (answer === undefined || answer.signalEvent.signal !== schedule.byBar[bar] || answer.degraded !== undefined)
      return [];
    return [{ answer, metaLabel: labels.metaLabel[k]!, netReturn: labels.netReturn[k]! }];
  });
}

function* closedLabels(labels: TripleBarrierLabels): Iterable<number> {
  for (let k = 0; k < labels.signalBar.length; k++) if (labels.horizonClosed[k] === 1) yield k;
}

export function measureConfidences(resolved: readonly ResolvedAnswer[], baseRate: number): LiveMetrics {
  const y = Uint8Array.from(resolved, ({ metaLabel }) => metaLabel);
  const p = Float64Array.from(resolved, ({ answer }) => answer.metaConfidence);
  const base = new Float64Array(y.length).fill(baseRate);
  return {
    n: y.length,
    winners: y.reduce((sum, label) => sum + label, 0),
    auc: rocAuc(y, p),
    logLoss: logLoss(y, p),
    baseRateLogLoss: logLoss(y, base),
    brier: brierScore(y, p),
    baseRateBrier: brierScore(y, base),
    accuracy: accuracy(y, p),
    majorityAccuracy: accuracy(y, base),
  };
}

export function measureReturns(resolved: readonly ResolvedAnswer[], horizonBars: number): LiveReturns {
  const net = Float64Array.from(resolved, ({ netReturn }) => netReturn);
  const weight = Float64Array.from(resolved, ({ answer }) => Math.abs(answer.size));
  const means = (indices: Iterable<number>): { equalWeight: number; sized: number } => {
    let n = 0;
    let sum = 0;
    let weights = 0;
    let weighted = 0;
    for (const k of indices) {
      n++;
      sum += net[k]!;
      weights += weight[k]!;
      weighted += weight[k]! * net[k]!;
    }
    return { equalWeight: sum / n, sized: weighted / weights };
  };
  const difference = (indices: Iterable<number>): number => {
    const { equalWeight, sized } = means(indices);
    return sized - equalWeight;
  };
  const blockSignals = BLOCK_HORIZONS * horizonBars;
  return {
    n: net.length,
    ...means(net.keys()),
    difference: difference(net.keys()),
    interval: blockBootstrapInterval(net.length, difference, { ...BOOTSTRAP, blockLength: blockSignals }),
    blockSignals,
    resamples: BOOTSTRAP.resamples,
  };
}

import type { EnrichedSignalEvent } from '../market/events.js';
import { toxicityLevel } from '../orderflow/toxicity.js';
import type { Alignment } from '../primary/side-schedule.js';
import { describeLookAhead, type LookAheadFigures } from '../validation/look-ahead.js';
import type { MainJobReport, MainJobResult } from './main-job.js';
import { describeFalseAlarms } from './render-alarms.js';
import { textTable } from './text-table.js';

/** Differences of mean returns below this are rounding. */
const ROUNDING = 1e-12;

/** JSON of anything here: bigint as decimal strings, NaN as null. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, field) => {
    if (typeof field === 'bigint') return field.toString();
    return field instanceof Float64Array ? Array.from(field) : field;
  });
}

/** The main job's report for a person at a terminal. */
export function renderMainJob({ report, answers }: MainJobResult): string {
  return [
    barsSection(report),
    labelsSection(report),
    foldsSection(report),
    importancesSection(report),
    metricsSection(report),
    `Verdict: ${report.promotion.sentence}`,
    `Detectors: ${report.detectors === null ? 'too few labels to set them' : describeFalseAlarms(report.detectors)}`,
    liveSection(report),
    answersSection(answers),
    'Now yours: npm start -- --bars my.csv',
  ].join('\n\n');
}

function barsSection({ bars, lookAhead }: MainJobReport): string {
  const ignored = bars.ignoredColumns.length > 0 ? `, ignoring ${bars.ignoredColumns.join(', ')}` : '';
  const stamps =
    bars.timestampIs === 'open'
      ? `stamped at the open (each bar closes ${duration(bars.intervalNs)} later)`
      : 'stamped at the close';
  return [
    `${count(bars.count)} bars of ${bars.instrumentId} from ${bars.source}, ${stamps}${ignored}`,
    `  ${isoTime(bars.firstNs)} to ${isoTime(bars.lastNs)}; primary signal ${bars.primary}; trained on the first ${count(bars.trained)}, the last ${count(bars.replayed)} replayed as live`,
    `  ${describeAlignment(bars.alignment, bars.entry)}`,
    ...lookAheadWarning(lookAhead).map((line) => `  ${line}`),
    ...(bars.roundedCount > 0 ? [`  ${describeRounded(bars.roundedCount)}`] : []),
  ].join('\n');
}

/** "3,435 signals, each decided 0 s after the close it sees, entered at the next open". */
export function describeAlignment(
  { signals, unseen, medianNs, maxNs }: Alignment,
  entry: MainJobReport['bars']['entry'],
): string {
  const delay =
    medianNs === maxNs
      ? `each decided ${duration(medianNs)} after the close it sees`
      : `half of them decided within ${duration(medianNs)} after the close they see, all within ${duration(maxNs)}`;
  const where = entry === 'signal-close' && maxNs === 0n ? 'entered at that close' : 'entered at the next open';
  const early = unseen === 0 ? '' : `; ${count(unseen)} decided before any bar had closed`;
  return `${count(signals)} signals, ${delay}, ${where}${early}`;
}

/** A line where sides were trained on that seem to know the bar they are labelled by. */
export function lookAheadWarning(figures: LookAheadFigures): string[] {
  return figures.isSuspected ? [`warning, look-ahead suspected and allowed: ${describeLookAhead(figures)}`] : [];
}

/** What a person is told of times that were taken as another instant. */
export function describeRounded(times: number): string {
  return `${count(times)} times within 1 ms before a whole second (23:59:59.999) count as that second`;
}

function labelsSection({ labels, metrics }: MainJobReport): string {
  return [
    `Labels: ${count(labels.signals)} signals, ${count(labels.trained)} trained on (effective ${count(Math.round(metrics.effectiveN))} after overlap)`,
    `  ended in profit ${count(labels.profit)}, stop ${count(labels.stop)}, timeout ${count(labels.timeout)}; both barriers in one bar ${count(labels.ambiguous)}; censored ${count(labels.censored)}`,
    `  left out: horizon open ${count(labels.horizonOpen)}, fewer than 100 bars ${count(labels.insufficientHistory)}, target below cost ${count(labels.targetBelowCost)}, no volatility ${count(labels.noVolatility)}`,
  ].join('\n');
}

function foldsSection({ folds }: MainJobReport): string {
  const head = ['test window from', 'train', 'test', 'lambda', 'AUC', 'log-loss', 'base rate', 'accuracy', 'majority'];
  const rows = folds.map((fold) => [
    isoTime(fold.testStartNs),
    count(fold.nTrain),
    count(fold.nTest),
    fixed(fold.lambda, 2),
    fixed(fold.auc, 3),
    fixed(fold.logLoss, 4),
    fixed(fold.baseRateLogLoss, 4),
    percent(fold.accuracy),
    percent(fold.majorityAccuracy),
  ]);
  return `Purged walk-forward:\n${textTable([head, ...rows])}`;
}

function importancesSection({ importances }: MainJobReport): string {
  const byGain = [...importances].filter(({ splits }) => splits > 0).sort((a, b) => b.gain - a.gain);
  if (byGain.length === 0) return 'Importances: none, the final fit has no trees';
  const rows = byGain.map(({ name, gain, cover, splits }) => [name, percent(gain), percent(cover), percent(splits)]);
  return `Importances of the final fit:\n${textTable([['feature', 'gain', 'cover', 'splits'], ...rows])}`;
}

function metricsSection({ metrics }: MainJobReport): string {
  const { lower, upper } = metrics.aucInterval;
  const rows = [
    ['out of sample', 'model', 'base rate', 'logistic'],
    [
      'log-loss (nats)',
      fixed(metrics.logLoss, 4),
      fixed(metrics.baseRateLogLoss, 4),
      fixed(metrics.logisticLogLoss, 4),
    ],
    ['Brier score', fixed(metrics.brier, 4), fixed(metrics.baseRateBrier, 4), ''],
    ['accuracy (the majority rule beside it)', percent(metrics.accuracy), percent(metrics.majorityAccuracy), ''],
  ];
  const minimum = metrics.meetsMinimumAccuracy ? 'meets' : 'misses';
  return [
    `Metrics over ${metrics.nFolds} folds:`,
    textTable(rows),
    `  AUC ${fixed(metrics.auc, 3)}, 95 % interval ${fixed(lower, 3)} to ${fixed(upper, 3)} (long ${fixed(metrics.aucLong, 3)}, short ${fixed(metrics.aucShort, 3)})`,
    `  accuracy ${percent(metrics.accuracy)} ${minimum} the 55 % minimum; the majority rule scores ${percent(metrics.majorityAccuracy)}`,
  ].join('\n');
}

function liveSection({ live }: MainJobReport): string {
  const { metrics, returns, latencyNs } = live;
  return [
    `Live replay: ${count(live.enriched)} enriched, ${count(total(live.degraded))} degraded, ${count(total(live.refused))} refused; latency p50 ${micros(latencyNs.p50)}, p99 ${micros(latencyNs.p99)}, max ${micros(latencyNs.max)}`,
    `  served confidences on ${count(metrics.n)} closed signals: AUC ${fixed(metrics.auc, 3)}, log-loss ${fixed(metrics.logLoss, 4)} (base rate ${fixed(metrics.baseRateLogLoss, 4)}), accuracy ${percent(metrics.accuracy)} (majority ${percent(metrics.majorityAccuracy)})`,
    `  net return per signal: equal weight ${basisPoints(returns.equalWeight)}, sized ${basisPoints(returns.sized)} per unit of exposure; difference ${basisPoints(returns.difference)} (95 % interval ${basisPoints(returns.interval[0])} to ${basisPoints(returns.interval[1])})`,
    `  ${returnsStatement(live)}`,
  ].join('\n');
}

function returnsStatement({ returns }: MainJobReport['live']): string {
  const [lower, upper] = returns.interval;
  if (Number.isNaN(returns.sized)) return 'Every size was 0: there is nothing to compare.';
  if (upper - lower < ROUNDING) return 'All sizes were alike: there is nothing to compare.';
  if (lower > 0) return 'Sizing helped: the interval lies above 0.';
  if (upper < 0) return 'Sizing hurt: the interval lies below 0.';
  return 'No evidence that sizing helped or hurt: the interval holds 0.';
}

function answersSection(answers: readonly EnrichedSignalEvent[]): string {
  const followed = answers.filter((answer) => answer.signalEvent.signal !== 0);
  const chosen = [0, 0.5, 1].flatMap((share) => followed[Math.round(share * (followed.length - 1))] ?? []);
  const name = answers[0]?.signalEvent.instrumentId ?? 'nothing';
  return [`Three answers on ${name}:`, ...chosen.map((answer) => `  ${describeAnswer(answer)}`)].join('\n');
}

/** Two main jobs side by side, then the answers of the first in words. */
export function renderComparison(real: MainJobResult, simulated: MainJobResult): string {
  const both = [real.report, simulated.report];
  const row = (name: string, of: (report: MainJobReport) => string): string[] => [name, ...both.map(of)];
  const rows = [
    row('', ({ bars }) => bars.instrumentId),
    row('bars', ({ bars }) => count(bars.count)),
    row('primary signal', ({ bars }) => bars.primary),
    row('signals trained on', ({ labels }) => count(labels.trained)),
    row('base rate', ({ metrics }) => percent(metrics.baseRate)),
    row('AUC out of sample', ({ metrics }) => fixed(metrics.auc, 3)),
    row(
      '  95 % interval',
      ({ metrics: { aucInterval } }) => `${fixed(aucInterval.lower, 3)} to ${fixed(aucInterval.upper, 3)}`,
    ),
    row('log-loss skill (nats)', ({ metrics }) => fixed(metrics.baseRateLogLoss - metrics.logLoss, 4)),
    row('  of a logistic regression', ({ metrics }) => fixed(metrics.baseRateLogLoss - metrics.logisticLogLoss, 4)),
    row('trust in the trees (lambda)', ({ metrics }) => fixed(metrics.lambda, 2)),
    row('verdict', ({ promotion }) => promotion.verdict),
    row('live signals enriched', ({ live }) => count(live.enriched)),
    row('net return, equal weight', ({ live }) => basisPoints(live.returns.equalWeight)),
    row('net return, sized', ({ live }) => basisPoints(live.returns.sized)),
    row(
      '  difference, 95 % interval',
      ({ live: { returns } }) => `${basisPoints(returns.interval[0])} to ${basisPoints(returns.interval[1])}`,
    ),
    row('latency p50 / p99', ({ live }) => `${micros(live.latencyNs.p50)} / ${micros(live.latencyNs.p99)}`),
  ];
  return [
    `Two markets: real bars (${real.report.bars.source}), and ${simulated.report.bars.source}, whose answer is known.`,
    textTable(rows),
    ...both.map(({ bars, promotion, live }) => {
      const comparison = Number.isNaN(live.returns.sized) ? '' : ` ${returnsStatement(live)}`;
      return `${bars.instrumentId}: ${promotion.sentence}${comparison}`;
    }),
    answersSection(real.answers),
    answersSection(simulated.answers),
    'All figures of one market: npm start -- --market simulated --edge 0.5\nNow yours: npm start -- --bars my.csv',
  ].join('\n\n');
}

/** One answer as a sentence. */
export function describeAnswer(answer: EnrichedSignalEvent): string {
  const { signal, instrumentId, timestamp } = answer.signalEvent;
  const side = signal === 0 ? 'flat' : signal > 0 ? 'long' : 'short';
  const why = answer.degraded ? ` (degraded: ${answer.degraded})` : '';
  const toxicity = answer.toxicityAvailable
    ? `toxicity ${fixed(answer.toxicity, 2)} (${toxicityLevel(answer.toxicity)})`
    : 'toxicity unknown';
  const regime = answer.regimeAvailable ? `regime weight ${fixed(answer.regimeWeight, 2)}` : 'regime unknown';
  const size =
    answer.size === 0 ? `size 0 (${answer.sizeReason})` : `size ${answer.size > 0 ? '+' : ''}${fixed(answer.size, 3)}`;
  return `${isoTime(timestamp)} ${side} ${instrumentId}: P(correct) ${fixed(answer.metaConfidence, 3)}${why}, ${regime}, ${toxicity}, ${size}; model ${answer.modelId || 'none'}, as of bar ${answer.asOfSequence}, ${micros(answer.latencyNs)}`;
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, value) => sum + value, 0);
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function fixed(value: number, digits: number): string {
  return Number.isNaN(value) ? 'n/a' : value.toFixed(digits);
}

function percent(share: number): string {
  return Number.isNaN(share) ? 'n/a' : `${(100 * share).toFixed(1)} %`;
}

export function basisPoints(fraction: number): string {
  return Number.isNaN(fraction) ? 'n/a' : `${fraction > 0 ? '+' : ''}${(10_000 * fraction).toFixed(2)} bps`;
}

function micros(ns: number): string {
  return `${(ns / 1000).toFixed(1)} us`;
}

export function isoTime(ns: bigint): string {
  return `${new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 16).replace('T', ' ')}Z`;
}

const DURATIONS = [
  [86_400_000_000_000n, 'd'],
  [3_600_000_000_000n, 'h'],
  [60_000_000_000n, 'min'],
  [1_000_000_000n, 's'],
] as const;

function duration(ns: bigint): string {
  if (ns === 0n) return '0 s';
  const [unit, name] = DURATIONS.find(([size]) => ns >= size && ns % size === 0n) ?? [1n, 'ns'];
  return `${ns / unit} ${name}`;
}

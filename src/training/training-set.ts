import { deriveFeatureColumns, type FeatureColumns, HISTORY_BARS_MIN } from '../features/feature-columns.js';
import { FEATURE_COUNT, writeFeatureRow } from '../features/feature-row.js';
import type { FeatureSet } from '../features/feature-set.js';
import { paysItsCost } from '../labeling/barrier.js';
import { type TripleBarrier, type TripleBarrierLabels, tripleBarrierLabels } from '../labeling/triple-barrier.js';
import { averageUniqueness } from '../labeling/uniqueness.js';
import { averageTrueRange } from '../market/atr.js';
import { type BarSeries, checkBars } from '../market/bar.js';
import type { VpinOptions } from '../orderflow/vpin.js';
import { type DecisionMoves, type LookAheadFigures, lookAheadFigures } from '../validation/look-ahead.js';
import { calendarPositions, commonCalendar } from './calendar.js';
import { decisionMovesOf, pooledMoves } from './decision-moves.js';
import {
  checkInstruments,
  decidedNsOf,
  sidesOf,
  type TrainingSeries,
  toxicityOf,
  userColumn,
} from './training-series.js';

/** How the signals of all series ended, and why some were not trained on. */
export interface LabelCounts {
  readonly signals: number;
  readonly profit: number;
  readonly stop: number;
  readonly timeout: number;
  readonly ambiguous: number;
  readonly censored: number;
  readonly noVolatility: number;
  /** Touched early, but their horizon ends after the data. */
  readonly horizonOpen: number;
  /** Fewer than 100 bars up to the signal. */
  readonly insufficientHistory: number;
  /** Profit barrier below three round-trip costs. */
  readonly targetBelowCost: number;
  readonly trained: number;
}

/** Labelled signals of all series pooled in time, one row each. `start` and `end` are positions on the common calendar: every bar close of any series. */
export interface TrainingSet {
  readonly instrumentIds: readonly string[];
  /** Encoded model rows, row-major. */
  readonly rows: Float32Array;
  readonly columnCount: number;
  readonly metaLabel: Uint8Array;
  readonly side: Int8Array;
  readonly start: Int32Array;
  /** Bars from the signal to the exit. */
  readonly duration: Int32Array;
  /** Gross return in units of the barrier. */
  readonly grossR: Float64Array;
  /** 1 when the stop was taken to be first although both barriers lay inside the bar. */
  readonly ambiguous: Uint8Array;
  /** Where the horizon closes, whatever the outcome. */
  readonly end: Int32Array;
  /** Average uniqueness over the horizon among the signals of the same series; the sum is the effective sample size. */
  readonly uniqueness: Float64Array;
  /** The series each row comes from, and its bar there. */
  readonly series: Int32Array;
  readonly bar: Int32Array;
  readonly sources: readonly SeriesSource[];
  readonly calendarNs: BigInt64Array;
  readonly counts: LabelCounts;
  readonly lookAhead: LookAheadFigures;
}

/** What the rows of one series were made from; `position` is every bar's place on the calendar. */
export interface SeriesSource {
  readonly instrumentId: string;
  readonly tsEventNs: BigInt64Array;
  readonly columns: FeatureColumns;
  readonly vpin: Float64Array;
  readonly position: Int32Array;
}

/** Sides → labels → feature rows of every series, pooled and ordered by time. Throws what is wrong with a series, naming its field. */
export function buildTrainingSet(
  series: readonly TrainingSeries[],
  features: FeatureSet,
  labels: TripleBarrier,
  vpin: VpinOptions,
): TrainingSet {
  checkInstruments(series);
  const parts = series.map((one, index) => labelSeries(one, `series[${index}]`, features, labels, vpin));
  const calendarNs = commonCalendar(series.map((one) => one.bars));
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  const columnCount = features.columnCount;
  const positions = series.map((one) => calendarPositions(one.bars, calendarNs));
  const sources = parts.map(({ columns, vpin: toxicity }, index) => ({
    instrumentId: series[index]!.instrumentId,
    tsEventNs: series[index]!.bars.tsEventNs,
    columns,
    vpin: toxicity,
    position: positions[index]!,
  }));
  const set = {
    instrumentIds: series.map((one) => one.instrumentId),
    rows: new Float32Array(total * columnCount),
    columnCount,
    metaLabel: new Uint8Array(total),
    side: new Int8Array(total),
    start: new Int32Array(total),
    end: new Int32Array(total),
    duration: new Int32Array(total),
    grossR: new Float64Array(total),
    ambiguous: new Uint8Array(total),
    uniqueness: new Float64Array(total),
    series: new Int32Array(total),
    bar: new Int32Array(total),
    sources,
    calendarNs,
    counts: parts.map((part) => part.counts).reduce(addCounts),
    lookAhead: lookAheadFigures(
      pooledMoves(
        parts.map((part) => part.moves),
        positions,
      ),
      calendarNs.length,
    ),
  };
  const cursors = new Int32Array(parts.length);
  for (let k = 0; k < total; k++) {
    // The next signal in time; of several at once, the first series'.
    let next = -1;
    let nextStart = Number.POSITIVE_INFINITY;
    for (let p = 0; p < parts.length; p++) {
      const cursor = cursors[p]!;
      if (cursor >= parts[p]!.count) continue;
      const start = positions[p]![parts[p]!.signalBar[cursor]!]!;
      if (start < nextStart) {
        next = p;
        nextStart = start;
      }
    }
    const part = parts[next]!;
    const cursor = cursors[next]!++;
    const bar = part.signalBar[cursor]!;
    set.rows.set(part.rows.subarray(cursor * columnCount, (cursor + 1) * columnCount), k * columnCount);
    set.metaLabel[k] = part.metaLabel[cursor]!;
    set.side[k] = part.side[cursor]!;
    set.duration[k] = part.duration[cursor]!;
    set.grossR[k] = part.grossR[cursor]!;
    set.ambiguous[k] = part.ambiguous[cursor]!;
    set.series[k] = next;
    set.bar[k] = bar;
    set.start[k] = nextStart;
    set.uniqueness[k] = part.uniqueness[cursor]!;
    set.end[k] = positions[next]![part.lastBar[cursor]!]!;
  }
  return set;
}

interface LabelledSeries {
  readonly count: number;
  readonly signalBar: Int32Array;
  /** The last bar of the horizon. */
  readonly lastBar: Int32Array;
  readonly side: Int8Array;
  readonly metaLabel: Uint8Array;
  readonly duration: Int32Array;
  readonly grossR: Float64Array;
  readonly ambiguous: Uint8Array;
  readonly uniqueness: Float64Array;
  readonly rows: Float32Array;
  readonly columns: FeatureColumns;
  readonly vpin: Float64Array;
  readonly moves: DecisionMoves;
  readonly counts: LabelCounts;
}

function labelSeries(
  series: TrainingSeries,
  field: string,
  features: FeatureSet,
  barrier: TripleBarrier,
  vpin: VpinOptions,
): LabelledSeries {
  const { bars } = series;
  checkBars(bars, `${field}.bars`);
  const sides = sidesOf(series, field);
  const user = features.user.map((name) => userColumn(series, name, field));
  const atr = averageTrueRange(bars);
  const labels = tripleBarrierLabels(bars, sides, barrier, atr, decidedNsOf(series, field));
  const { kept, refused } = selectTrainable(labels, bars, atr, barrier);
  const columns = deriveFeatureColumns(bars);
  const toxicity = toxicityOf(series, field, vpin);
  const row = new Float64Array(FEATURE_COUNT);
  const userValues = new Float64Array(user.length);
  const rows = new Float32Array(kept.length * features.columnCount);
  for (let k = 0; k < kept.length; k++) {
    const bar = labels.signalBar[kept[k]!]!;
    for (let u = 0; u < user.length; u++) userValues[u] = user[u]![bar]!;
    writeFeatureRow(columns, bar, sides[bar]!, toxicity[bar]!, Number.NaN, row, 0);
    features.encodeRow(row, userValues, rows, k * features.columnCount);
  }
  const signalBar = kept.map((k) => labels.signalBar[k]!);
  // The horizon, not the exit: how long a position lasted depends on its outcome.
  const firstBar = kept.map((k) => labels.firstBar[k]!);
  const lastBar = firstBar.map((bar) => bar + barrier.maxHoldingBars - 1);
  const { counts } = labels;
  return {
    count: kept.length,
    signalBar,
    lastBar,
    side: Int8Array.from(signalBar, (bar) => sides[bar]!),
    metaLabel: Uint8Array.from(kept, (k) => labels.metaLabel[k]!),
    duration: kept.map((k) => labels.exitBar[k]! - labels.signalBar[k]!),
    grossR: Float64Array.from(kept, (k) => labels.grossR[k]!),
    ambiguous: Uint8Array.from(kept, (k) => labels.ambiguous[k]!),
    uniqueness: averageUniqueness({ start: firstBar, end: lastBar }, bars.length),
    rows,
    columns,
    vpin: toxicity,
    moves: decisionMovesOf(bars, sides, labels, barrier.entry),
    counts: {
      ...counts,
      ...refused,
      signals: labels.signalBar.length + counts.censored + counts.noVolatility,
      trained: kept.length,
    },
  };
}

function selectTrainable(
  labels: TripleBarrierLabels,
  bars: BarSeries,
  atr: Float64Array,
  barrier: TripleBarrier,
): { kept: Int32Array; refused: Pick<LabelCounts, 'horizonOpen' | 'insufficientHistory' | 'targetBelowCost'> } {
  const refused = { horizonOpen: 0, insufficientHistory: 0, targetBelowCost: 0 };
  const kept = new Int32Array(labels.signalBar.length);
  let count = 0;
  for (let k = 0; k < labels.signalBar.length; k++) {
    const bar = labels.signalBar[k]!;
    if (labels.horizonClosed[k] === 0) refused.horizonOpen++;
    else if (bar < HISTORY_BARS_MIN - 1) refused.insufficientHistory++;
    else if (!paysItsCost((barrier.ptMultiplier * atr[bar]!) / bars.close[bar]!, barrier.costBps))
      refused.targetBelowCost++;
    else kept[count++] = k;
  }
  return { kept: kept.slice(0, count), refused };
}

function addCounts(a: LabelCounts, b: LabelCounts): LabelCounts {
  const names = Object.keys(a) as (keyof LabelCounts)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as LabelCounts;
}

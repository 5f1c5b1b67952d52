import { OrchestratorError } from '../errors.js';
import { deriveFeatureColumns, type FeatureColumns, HISTORY_BARS_MIN } from '../features/feature-columns.js';
import { FEATURE_COUNT, writeFeatureRow } from '../features/feature-row.js';
import type { FeatureSet } from '../features/feature-set.js';
import { type TripleBarrier, type TripleBarrierLabels, tripleBarrierLabels } from '../labeling/triple-barrier.js';
import { averageUniqueness } from '../labeling/uniqueness.js';
import { averageTrueRange } from '../market/atr.js';
import { type BarSeries, checkBars } from '../market/bar.js';
import { isInstrumentId } from '../market/instrument-id.js';
import { VpinIndicator, type VpinOptions } from '../orderflow/vpin.js';
import { type PrimarySignalName, primarySides } from '../primary/primary-signal.js';

/** One instrument's bars with the sides a strategy took on them. */
export interface TrainingSeries {
  readonly instrumentId: string;
  readonly bars: BarSeries;
  /** −1, 0, +1 by bar; or else `primarySignal` makes them. */
  readonly sides?: Int8Array;
  readonly primarySignal?: PrimarySignalName;
  /** The user's declared features, by name, one value a bar; NaN is missing. */
  readonly features?: Readonly<Record<string, Float64Array>>;
}

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
}

/** What the rows of one series were made from; `position` is every bar's place on the calendar. */
export interface SeriesSource {
  readonly instrumentId: string;
  readonly tsEventNs: BigInt64Array;
  readonly columns: FeatureColumns;
  readonly vpin: Float64Array;
  readonly position: Int32Array;
}

const COST_MULTIPLE_MIN = 3;

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
    set.end[k] = positions[next]![bar + labels.maxHoldingBars]!;
  }
  return set;
}

/** Scales and quantiles are kept by instrument, under its name as a key: each may come but once, and not under a name no record can hold. */
function checkInstruments(series: readonly TrainingSeries[]): void {
  for (const [index, { instrumentId }] of series.entries()) {
    const field = `series[${index}].instrumentId`;
    if (typeof instrumentId !== 'string' || !isInstrumentId(instrumentId) || instrumentId === '__proto__') {
      throw new OrchestratorError('INVALID_INSTRUMENT', `${field} is no name for an instrument`, { field });
    }
    if (series.findIndex((other) => other.instrumentId === instrumentId) !== index) {
      throw new OrchestratorError('DUPLICATE_INSTRUMENT', `${field} came before`, { field });
    }
  }
}

interface LabelledSeries {
  readonly count: number;
  readonly signalBar: Int32Array;
  readonly side: Int8Array;
  readonly metaLabel: Uint8Array;
  readonly duration: Int32Array;
  readonly grossR: Float64Array;
  readonly ambiguous: Uint8Array;
  readonly uniqueness: Float64Array;
  readonly rows: Float32Array;
  readonly columns: FeatureColumns;
  readonly vpin: Float64Array;
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
  const labels = tripleBarrierLabels(bars, sides, barrier, atr);
  const { kept, refused } = selectTrainable(labels, bars, atr, barrier);
  const columns = deriveFeatureColumns(bars);
  const toxicity = toxicityColumn(bars, vpin);
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
  const horizons = {
    start: signalBar.map((bar) => bar + 1),
    end: signalBar.map((bar) => bar + barrier.maxHoldingBars),
  };
  const { counts } = labels;
  return {
    count: kept.length,
    signalBar,
    side: Int8Array.from(signalBar, (bar) => sides[bar]!),
    metaLabel: Uint8Array.from(kept, (k) => labels.metaLabel[k]!),
    duration: kept.map((k) => labels.exitBar[k]! - labels.signalBar[k]!),
    grossR: Float64Array.from(kept, (k) => labels.grossR[k]!),
    ambiguous: Uint8Array.from(kept, (k) => labels.ambiguous[k]!),
    uniqueness: averageUniqueness(horizons, bars.length),
    rows,
    columns,
    vpin: toxicity,
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
  const targetMin = (COST_MULTIPLE_MIN * barrier.costBps) / 10_000;
  const kept = new Int32Array(labels.signalBar.length);
  let count = 0;
  for (let k = 0; k < labels.signalBar.length; k++) {
    const bar = labels.signalBar[k]!;
    if (labels.horizonClosed[k] === 0) refused.horizonOpen++;
    else if (bar < HISTORY_BARS_MIN - 1) refused.insufficientHistory++;
    else if ((barrier.ptMultiplier * atr[bar]!) / bars.close[bar]! < targetMin) refused.targetBelowCost++;
    else kept[count++] = k;
  }
  return { kept: kept.slice(0, count), refused };
}

function sidesOf(series: TrainingSeries, field: string): Int8Array {
  if (series.sides === undefined) {
    if (series.primarySignal !== undefined) return primarySides(series.primarySignal, series.bars);
    throw new OrchestratorError('INVALID_SIGNAL', `${field} has neither sides nor a primarySignal`, {
      field: `${field}.sides`,
    });
  }
  if (series.sides.length !== series.bars.length) {
    throw new OrchestratorError(
      'LENGTH_MISMATCH',
      `${field} has ${series.sides.length} sides for ${series.bars.length} bars`,
      {
        field: `${field}.sides`,
      },
    );
  }
  const wrong = series.sides.findIndex((side) => side < -1 || side > 1);
  if (wrong >= 0) {
    throw new OrchestratorError('OUT_OF_RANGE', `${field} has side ${series.sides[wrong]} at bar ${wrong}`, {
      field: `${field}.sides`,
    });
  }
  return series.sides;
}

function userColumn(series: TrainingSeries, name: string, field: string): Float64Array {
  const column =
    series.features !== undefined && Object.hasOwn(series.features, name) ? series.features[name] : undefined;
  if (column === undefined) {
    throw new OrchestratorError('MISSING_FEATURE', `${field} lacks its declared feature ${name}`, {
      field: `${field}.features.${name}`,
    });
  }
  if (column.length !== series.bars.length) {
    throw new OrchestratorError(
      'LENGTH_MISMATCH',
      `feature ${name} has ${column.length} values for ${series.bars.length} bars`,
      {
        field: `${field}.features.${name}`,
      },
    );
  }
  return column;
}

function toxicityColumn(bars: BarSeries, options: VpinOptions): Float64Array {
  const vpin = new VpinIndicator(options);
  const toxicity = new Float64Array(bars.length);
  for (let i = 0; i < bars.length; i++) {
    vpin.update(bars.at(i));
    toxicity[i] = vpin.value ?? Number.NaN;
  }
  return toxicity;
}

function commonCalendar(series: readonly BarSeries[]): BigInt64Array {
  if (series.length === 1) return series[0]!.tsEventNs.slice();
  const stamps = new Set(series.flatMap((bars) => [...bars.tsEventNs]));
  return BigInt64Array.from(stamps).sort();
}

/** Position of every bar on the calendar, which holds all of them in order. */
function calendarPositions(bars: BarSeries, calendarNs: BigInt64Array): Int32Array {
  const positions = new Int32Array(bars.length);
  let position = 0;
  for (let i = 0; i < bars.length; i++) {
    while (calendarNs[position]! < bars.tsEventNs[i]!) position++;
    positions[i] = position;
  }
  return positions;
}

function addCounts(a: LabelCounts, b: LabelCounts): LabelCounts {
  const names = Object.keys(a) as (keyof LabelCounts)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as LabelCounts;
}

import { LOOKBACK, rollingDeviation } from '../features/feature-columns.js';
import type { Observations } from './baum-welch.js';
import { INPUT_COUNT } from './gaussian-hmm.js';
import { hasInputs, type RegimeScale, standardReturn, standardVolatility } from './regime-inputs.js';

/** One instrument's bars: close times, log returns and 20-bar volatility, of which the training window is [start, end). */
export interface RegimeSeries {
  readonly instrumentId: string;
  readonly tsEventNs: BigInt64Array;
  readonly logReturn: Float64Array;
  readonly volatility: Float64Array;
  readonly start: number;
  readonly end: number;
}

export type ScaledSeries = RegimeSeries & { readonly scale: RegimeScale };

/** The bars a model is fitted to, sequence after sequence. */
export interface FittedBars extends Observations {
  /** Log returns in units of their instrument's own deviation, so that states compare across instruments. */
  readonly returns: Float64Array;
  /** By sequence. */
  readonly scales: readonly RegimeScale[];
}

/** The newest `barsMax` bars of all series that have both inputs; of bars at one time, the first series' go first. Reads no bar outside [start, end). */
export function newestBars(series: readonly ScaledSeries[], barsMax: number): FittedBars {
  const { firsts, count } = firstBars(series, barsMax);
  const inputs = new Float64Array(count * INPUT_COUNT);
  const returns = new Float64Array(count);
  const sequenceStarts: number[] = [];
  const scales: RegimeScale[] = [];
  let bar = 0;
  for (const [index, { logReturn, volatility, end, scale }] of series.entries()) {
    let isOpen = false;
    for (let i = firsts[index]!; i < end; i++) {
      const isUsable = hasInputs(logReturn[i]!, volatility[i]!);
      if (isUsable) {
        if (!isOpen) {
          sequenceStarts.push(bar);
          scales.push(scale);
        }
        inputs[bar * INPUT_COUNT] = standardReturn(logReturn[i]!, scale);
        inputs[bar * INPUT_COUNT + 1] = standardVolatility(volatility[i]!, scale);
        returns[bar++] = logReturn[i]! / scale.returnDeviation;
      }
      isOpen = isUsable;
    }
  }
  return { inputs, returns, sequenceStarts, scales };
}

/** The same returns with random signs and the volatility they then have: a random walk of the same moves. A sequence loses its first 19 bars, whose volatility reaches back behind it. */
export function withRandomSigns(bars: FittedBars, random: () => number): FittedBars {
  const signed = bars.returns.map((value) => (random() < 0.5 ? value : -value));
  const inputs = new Float64Array(bars.inputs.length);
  const returns = new Float64Array(signed.length);
  const sequenceStarts: number[] = [];
  const scales: RegimeScale[] = [];
  let bar = 0;
  for (const [index, begin] of bars.sequenceStarts.entries()) {
    const end = bars.sequenceStarts[index + 1] ?? signed.length;
    const scale = bars.scales[index]!;
    if (end - begin < LOOKBACK) continue;
    sequenceStarts.push(bar);
    scales.push(scale);
    for (let i = begin + LOOKBACK - 1; i < end; i++) {
      const volatility = rollingDeviation(signed, 0, -1, i);
      inputs[bar * INPUT_COUNT] = standardReturn(signed[i]! * scale.returnDeviation, scale);
      inputs[bar * INPUT_COUNT + 1] = standardVolatility(volatility * scale.returnDeviation, scale);
      returns[bar++] = signed[i]!;
    }
  }
  return { inputs: inputs.slice(0, bar * INPUT_COUNT), returns: returns.slice(0, bar), sequenceStarts, scales };
}

/** From which bar on every series counts so that the newest usable bars of all do. */
function firstBars(series: readonly ScaledSeries[], barsMax: number): { firsts: readonly number[]; count: number } {
  const firsts = series.map(({ end }) => end);
  let count = 0;
  while (count < barsMax) {
    let newest = -1;
    for (const [index, { start, tsEventNs }] of series.entries()) {
      if (firsts[index]! <= start) continue;
      if (newest < 0 || tsEventNs[firsts[index]! - 1]! > series[newest]!.tsEventNs[firsts[newest]! - 1]!)
        newest = index;
    }
    if (newest < 0) break;
    const bar = --firsts[newest]!;
    if (hasInputs(series[newest]!.logReturn[bar]!, series[newest]!.volatility[bar]!)) count++;
  }
  return { firsts, count };
}

/** What one instrument's inputs are standardised with: mean and population standard deviation of its training window. All finite, deviations positive. */
export interface RegimeScale {
  readonly returnMean: number;
  readonly returnDeviation: number;
  /** Of the natural logarithm of the 20-bar volatility. */
  readonly logVolatilityMean: number;
  readonly logVolatilityDeviation: number;
}

const VOLATILITY_MIN = 1e-10;
const DEVIATION_MIN = 1e-12;
/** Standardised inputs end here, so that one absurd bar cannot be all a state is about. */
const INPUT_MAX = 8;

export function standardReturn(logReturn: number, scale: RegimeScale): number {
  return clamp((logReturn - scale.returnMean) / scale.returnDeviation);
}

export function standardVolatility(volatility: number, scale: RegimeScale): number {
  return clamp((logVolatility(volatility) - scale.logVolatilityMean) / scale.logVolatilityDeviation);
}

/** Whether a bar has both inputs: the first 20 of a series have not. */
export function hasInputs(logReturn: number, volatility: number): boolean {
  return Number.isFinite(logReturn) && Number.isFinite(volatility);
}

/** Scale of the bars [start, end) that have both inputs; null when none has. */
export function scaleOf(
  logReturns: Float64Array,
  volatility: Float64Array,
  start: number,
  end: number,
): RegimeScale | null {
  const returns = new Float64Array(end - start);
  const logVolatilities = new Float64Array(end - start);
  let count = 0;
  for (let i = start; i < end; i++) {
    if (!hasInputs(logReturns[i]!, volatility[i]!)) continue;
    returns[count] = logReturns[i]!;
    logVolatilities[count++] = logVolatility(volatility[i]!);
  }
  if (count === 0) return null;
  const [returnMean, returnDeviation] = moments(returns.subarray(0, count));
  const [logVolatilityMean, logVolatilityDeviation] = moments(logVolatilities.subarray(0, count));
  return { returnMean, returnDeviation, logVolatilityMean, logVolatilityDeviation };
}

function logVolatility(volatility: number): number {
  return Math.log(Math.max(volatility, VOLATILITY_MIN));
}

function clamp(value: number): number {
  return Math.min(INPUT_MAX, Math.max(-INPUT_MAX, value));
}

function moments(values: Float64Array): readonly [mean: number, deviation: number] {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) * (value - mean);
  return [mean, Math.max(Math.sqrt(squares / values.length), DEVIATION_MIN)];
}

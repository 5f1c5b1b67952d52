import { OrchestratorError } from '../errors.js';
import type { BarSeries } from '../market/bar.js';

/** The built-in primary signals, for demonstrations: a real strategy brings its own sides. */
export const PRIMARY_SIGNALS = ['ema-cross', 'momentum', 'donchian'] as const;
export type PrimarySignalName = (typeof PRIMARY_SIGNALS)[number];

const EMA_FAST = 12;
const EMA_SLOW = 26;
const CHANNEL_BARS = 20;

/** Sides −1, 0, +1 by bar, each decided at the bar's close from bars up to it. Throws USAGE for an unknown name. */
export function primarySides(name: PrimarySignalName, bars: BarSeries): Int8Array {
  switch (name) {
    case 'ema-cross':
      return emaCross(bars.close);
    case 'momentum':
      return momentum(bars.close);
    case 'donchian':
      return donchian(bars);
    default:
      throw new OrchestratorError(
        'USAGE',
        `primary signal ${name satisfies never} is none of ${PRIMARY_SIGNALS.join(', ')}`,
        {
          field: 'primarySignal',
        },
      );
  }
}

/** Sign of EMA(12) − EMA(26) of the close, 0 for the first 25 bars. */
function emaCross(close: Float64Array): Int8Array {
  const sides = new Int8Array(close.length);
  const alphaFast = 2 / (EMA_FAST + 1);
  const alphaSlow = 2 / (EMA_SLOW + 1);
  let fast = close[0] ?? 0;
  let slow = fast;
  for (let i = 1; i < close.length; i++) {
    fast = alphaFast * close[i]! + (1 - alphaFast) * fast;
    slow = alphaSlow * close[i]! + (1 - alphaSlow) * slow;
    if (i >= EMA_SLOW - 1) sides[i] = Math.sign(fast - slow);
  }
  return sides;
}

/** Sign of the 20-bar price change. */
function momentum(close: Float64Array): Int8Array {
  return Int8Array.from(close, (price, i) => (i < CHANNEL_BARS ? 0 : Math.sign(price - close[i - CHANNEL_BARS]!)));
}

/** The side of the last close outside the channel of the 20 bars before it (Donchian). */
function donchian(bars: BarSeries): Int8Array {
  const sides = new Int8Array(bars.length);
  let side = 0;
  for (let i = CHANNEL_BARS; i < bars.length; i++) {
    const before = bars.slice(i - CHANNEL_BARS, i);
    if (bars.close[i]! > Math.max(...before.high)) side = 1;
    else if (bars.close[i]! < Math.min(...before.low)) side = -1;
    sides[i] = side;
  }
  return sides;
}

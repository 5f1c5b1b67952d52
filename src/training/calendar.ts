import type { BarSeries } from '../market/bar.js';

/** Every instant at which a bar of any series closed, in order. */
export function commonCalendar(series: readonly BarSeries[]): BigInt64Array {
  if (series.length === 1) return series[0]!.tsEventNs.slice();
  const stamps = new Set(series.flatMap((bars) => [...bars.tsEventNs]));
  return BigInt64Array.from(stamps).sort();
}

/** Position of every bar on the calendar, which holds all of them in order. */
export function calendarPositions(bars: BarSeries, calendarNs: BigInt64Array): Int32Array {
  const positions = new Int32Array(bars.length);
  let position = 0;
  for (let i = 0; i < bars.length; i++) {
    while (calendarNs[position]! < bars.tsEventNs[i]!) position++;
    positions[i] = position;
  }
  return positions;
}

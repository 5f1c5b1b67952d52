import type { BusInput } from '../bus/message-bus.js';
import type { BarSeries } from '../market/bar.js';
import type { SideSchedule } from '../primary/side-schedule.js';

/**
 * Bars [from, end) as messages, each followed by the signals that were decided before the next bar closed. A signal is named after its instrument and instant, so that it is known again
 * when the same stretch is sent twice.
 */
export function* marketMessages(
  instrumentId: string,
  bars: BarSeries,
  schedule: SideSchedule | null,
  from: number,
  end: number,
): Generator<BusInput> {
  const timed = schedule?.timed ?? [];
  let next = 0;
  while (next < timed.length && from < bars.length && timed[next]!.timestampNs < bars.tsEventNs[from]!) next++;
  for (let bar = from; bar < end; bar++) {
    yield { kind: 'bar', instrumentId, bar: bars.at(bar) };
    const untilNs = bar + 1 < bars.length ? bars.tsEventNs[bar + 1]! : null;
    for (; next < timed.length && (untilNs === null || timed[next]!.timestampNs < untilNs); next++) {
      const { timestampNs: timestamp, side: signal } = timed[next]!;
      yield { kind: 'signal', event: { instrumentId, signal, timestamp, signalId: `${instrumentId}-${timestamp}` } };
    }
  }
}

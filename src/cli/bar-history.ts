import { OrchestratorError } from '../errors.js';
import { HISTORY_BARS_MIN } from '../features/feature-columns.js';
import { type Bar, BarSeries, checkBarShape, checkBars, findBarFault } from '../market/bar.js';
import { wholeSecondNs } from '../market/timestamp.js';

/**
 * Bars of one instrument in any order; each has its place by its close. The first of a close
 * counts: an equal one is passed over, another one is refused.
 */
export class BarHistory {
  /** Closes that were taken as the whole second they lie just before. */
  roundedCount = 0;
  private readonly byClose = new Map<bigint, Bar>();

  /** `latestNs`: a later close has its time in another unit. */
  constructor(private readonly latestNs: bigint) {}

  /** False for one that is known. Throws the bar's fault, or BAR_CONFLICT. */
  add(given: Bar): boolean {
    const bar = this.checked(given, 'bar');
    const fault = findBarFault(bar.open, bar.high, bar.low, bar.close, bar.volume);
    if (fault) throw new OrchestratorError(fault.code, `bar: ${fault.reason}`, { field: `bar.${fault.column}` });
    if (this.knows(bar, 'bar')) return false;
    this.put(bar);
    return true;
  }

  /** As {@link add}, all of them or none; fewer than 100 are refused with TOO_FEW_BARS, as live. */
  merge(given: BarSeries | readonly Bar[]): void {
    const all = given instanceof BarSeries ? Array.from({ length: given.length }, (_, i) => given.at(i)) : given;
    if (all.length < HISTORY_BARS_MIN) {
      const message = `${all.length} bars come with the signal; at least ${HISTORY_BARS_MIN}, or none`;
      throw new OrchestratorError('TOO_FEW_BARS', message, { field: 'bars' });
    }
    const bars = all.map((bar, index) => this.checked(bar, `bars[${index}]`));
    checkBars(BarSeries.fromBars(bars), 'bars');
    const fresh = bars.filter((bar, index) => !this.knows(bar, `bars[${index}]`));
    for (const bar of fresh) this.put(bar);
  }

  get count(): number {
    return this.byClose.size;
  }

  toSeries(): BarSeries {
    return BarSeries.fromBars([...this.byClose.values()].sort((a, b) => (a.tsEventNs < b.tsEventNs ? -1 : 1)));
  }

  private put(bar: Bar): void {
    this.byClose.set(bar.tsEventNs, bar);
  }

  private knows(bar: Bar, field: string): boolean {
    const known = this.byClose.get(bar.tsEventNs);
    if (known === undefined || isEqual(known, bar)) return known !== undefined;
    throw new OrchestratorError('BAR_CONFLICT', `${field} differs from the bar of the same time`, { field });
  }

  /** With a close that may be one, as {@link wholeSecondNs} takes it. */
  private checked(given: Bar, field: string): Bar {
    checkBarShape(given, field);
    const tsEventNs = wholeSecondNs(given.tsEventNs);
    if (tsEventNs > this.latestNs) {
      throw new OrchestratorError('BAD_TIMESTAMP', `${field} closes in the far future`, {
        field: `${field}.tsEventNs`,
      });
    }
    if (tsEventNs !== given.tsEventNs) this.roundedCount++;
    const { open, high, low, close, volume } = given;
    return { tsEventNs, open, high, low, close, volume };
  }
}

function isEqual(one: Bar, other: Bar): boolean {
  const { open, high, low, close, volume } = one;
  const prices = open === other.open && high === other.high && low === other.low && close === other.close;
  return prices && Object.is(volume, other.volume);
}

import { type ErrorCode, OrchestratorError } from '../errors.js';

/**
 * One OHLCV interval. `tsEventNs`: the instant its values became final, that is the bar's CLOSE, in
 * ns since the epoch; within 1 ms before a whole second it stands for that second. volume NaN =
 * unknown.
 */
export interface Bar {
  readonly tsEventNs: bigint;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volume: number;
}

export interface BarColumns {
  tsEventNs: BigInt64Array;
  open: Float64Array;
  high: Float64Array;
  low: Float64Array;
  close: Float64Array;
  volume?: Float64Array;
}

const VALUE_COLUMNS = ['open', 'high', 'low', 'close', 'volume'] as const;
type ValueColumn = (typeof VALUE_COLUMNS)[number];

/** Columnar bars over ordinary or shared buffers; columns are views, read-only by convention. Values are not checked here: {@link checkBars} does that at the edge. */
export class BarSeries {
  readonly length: number;
  readonly tsEventNs: BigInt64Array;
  readonly open: Float64Array;
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly close: Float64Array;
  readonly volume: Float64Array;

  private constructor(columns: Required<BarColumns>) {
    this.length = columns.tsEventNs.length;
    this.tsEventNs = columns.tsEventNs;
    this.open = columns.open;
    this.high = columns.high;
    this.low = columns.low;
    this.close = columns.close;
    this.volume = columns.volume;
  }

  /** Wraps the columns without copying; an absent volume column becomes NaN (unknown). Throws LENGTH_MISMATCH. */
  static from(columns: BarColumns): BarSeries {
    const length = columns.tsEventNs.length;
    const volume = columns.volume ?? new Float64Array(length).fill(Number.NaN);
    const complete = { ...columns, volume };
    for (const name of VALUE_COLUMNS) {
      if (complete[name].length !== length) {
        throw new OrchestratorError(
          'LENGTH_MISMATCH',
          `column ${name} has ${complete[name].length} values, tsEventNs has ${length}`,
          {
            field: name,
          },
        );
      }
    }
    return new BarSeries(complete);
  }

  static fromBars(bars: readonly Bar[]): BarSeries {
    const column = (name: ValueColumn): Float64Array => Float64Array.from(bars, (bar) => bar[name]);
    return new BarSeries({
      tsEventNs: BigInt64Array.from(bars, (bar) => bar.tsEventNs),
      open: column('open'),
      high: column('high'),
      low: column('low'),
      close: column('close'),
      volume: column('volume'),
    });
  }

  /** Bars [start, end) as views on the same memory. */
  slice(start: number, end: number): BarSeries {
    return new BarSeries({
      tsEventNs: this.tsEventNs.subarray(start, end),
      open: this.open.subarray(start, end),
      high: this.high.subarray(start, end),
      low: this.low.subarray(start, end),
      close: this.close.subarray(start, end),
      volume: this.volume.subarray(start, end),
    });
  }

  at(index: number): Bar {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new OrchestratorError('OUT_OF_RANGE', `bar ${index} of a series of ${this.length}`, { field: 'index' });
    }
    return {
      tsEventNs: this.tsEventNs[index]!,
      open: this.open[index]!,
      high: this.high[index]!,
      low: this.low[index]!,
      close: this.close[index]!,
      volume: this.volume[index]!,
    };
  }
}

/** The same bars in shared memory, to hand to another thread without a second copy; a series that is shared already is returned as it is. */
export function toSharedBars(bars: BarSeries): BarSeries {
  const columns = [bars.tsEventNs, bars.open, bars.high, bars.low, bars.close, bars.volume];
  if (columns.every((column) => column.buffer instanceof SharedArrayBuffer)) return bars;
  const bytes = bars.length * Float64Array.BYTES_PER_ELEMENT;
  const buffer = new SharedArrayBuffer(bytes * columns.length);
  const tsEventNs = new BigInt64Array(buffer, 0, bars.length);
  tsEventNs.set(bars.tsEventNs);
  const [open, high, low, close, volume] = VALUE_COLUMNS.map((name, index) => {
    const column = new Float64Array(buffer, bytes * (index + 1), bars.length);
    column.set(bars[name]);
    return column;
  });
  return BarSeries.from({ tsEventNs, open: open!, high: high!, low: low!, close: close!, volume: volume! });
}

/** What is wrong with the values of one bar. */
export interface BarFault {
  readonly code: ErrorCode;
  readonly column: ValueColumn;
  readonly reason: string;
}

/** The first fault in a bar's values, or null. Volume may be NaN (unknown); nothing is repaired. */
export function findBarFault(open: number, high: number, low: number, close: number, volume: number): BarFault | null {
  const prices = [open, high, low, close];
  for (let index = 0; index < prices.length; index++) {
    const price = prices[index]!;
    const column = VALUE_COLUMNS[index]!;
    if (!Number.isFinite(price)) return { code: 'NOT_A_NUMBER', column, reason: `${column} is not a finite number` };
    if (price <= 0) return { code: 'PRICE_NOT_POSITIVE', column, reason: `${column} ${price} is not positive` };
  }
  if (high < Math.max(open, close, low)) {
    return { code: 'INCONSISTENT_BAR', column: 'high', reason: `high ${high} is below open, low or close` };
  }
  if (low > Math.min(open, close)) {
    return { code: 'INCONSISTENT_BAR', column: 'low', reason: `low ${low} is above open or close` };
  }
  if (volume < 0) return { code: 'NEGATIVE_VOLUME', column: 'volume', reason: `volume ${volume} is negative` };
  if (volume === Number.POSITIVE_INFINITY)
    return { code: 'NOT_A_NUMBER', column: 'volume', reason: 'volume is infinite' };
  return null;
}

/** Times are int64. */
export const TIMESTAMP_NS_MAX = 2n ** 63n - 1n;

/** Refuses what is no bar with a time, before anything is read of it: INVALID_BAR, or BAD_TIMESTAMP for a time that is no int64 since the epoch. */
export function checkBarShape(bar: unknown, field: string): asserts bar is Bar {
  if (typeof bar !== 'object' || bar === null) {
    throw new OrchestratorError('INVALID_BAR', `${field} must be a bar`, { field });
  }
  const { tsEventNs } = bar as Partial<Bar>;
  if (typeof tsEventNs !== 'bigint' || tsEventNs < 0n || tsEventNs > TIMESTAMP_NS_MAX) {
    throw new OrchestratorError(
      'BAD_TIMESTAMP',
      `${field}.tsEventNs must be nanoseconds since the epoch, as a bigint`,
      {
        field: `${field}.tsEventNs`,
      },
    );
  }
}

/** Refuses a series that holds a faulty bar or whose time does not strictly increase; the message names the bar. */
export function checkBars(bars: BarSeries, field: string): void {
  for (let i = 0; i < bars.length; i++) {
    const fault = findBarFault(bars.open[i]!, bars.high[i]!, bars.low[i]!, bars.close[i]!, bars.volume[i]!);
    if (fault)
      throw new OrchestratorError(fault.code, `${field}[${i}]: ${fault.reason}`, {
        field: `${field}[${i}].${fault.column}`,
      });
    if (i > 0 && bars.tsEventNs[i]! <= bars.tsEventNs[i - 1]!) {
      throw new OrchestratorError('TIME_NOT_INCREASING', `${field}[${i}]: its time is not after the bar before it`, {
        field: `${field}[${i}].tsEventNs`,
      });
    }
  }
}

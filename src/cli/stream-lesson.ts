import type { BusInput } from '../bus/message-bus.js';
import { OrchestratorError } from '../errors.js';
import type { FeatureSet } from '../features/feature-set.js';
import { checkSignal } from '../inference/admission.js';
import type { SignalEvent } from '../market/events.js';
import { isInstrumentId } from '../market/instrument-id.js';
import { wholeSecondNs } from '../market/timestamp.js';
import { sidesByBar, type TimedSide } from '../primary/side-schedule.js';
import type { TrainingSeries } from '../training/training-series.js';
import { BarHistory } from './bar-history.js';

/** What a stream held, and what became of it. */
export interface StreamLessonCounts {
  readonly messages: number;
  /** Instruments that are trained on: those with bars and signals. */
  readonly instruments: number;
  readonly bars: number;
  readonly signals: number;
  /** Signals that gave way to a later one that saw the same bar. */
  readonly replaced: number;
  /** Signals that saw no bar. */
  readonly withoutBar: number;
  /** Bars and signals that came before. */
  readonly repeated: number;
  /** Of no concern to training. */
  readonly ignored: number;
  /** By code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Times within 1 ms before a whole second, taken as that second. */
  readonly roundedCount: number;
}

interface HeardSignal extends TimedSide {
  readonly values: Float64Array;
}

/** One instrument, as its messages tell of it. */
interface Instrument {
  readonly bars: BarHistory;
  readonly signals: HeardSignal[];
}

/**
 * Training series out of the messages of a stream, in the order of the stream. Bars have their
 * place by their close, whenever they came. A signal is joined to the newest bar that closed at or
 * before its time, as the sides of a file are; of several that see one bar the last by its time
 * counts, of equal times the last that came. Each message is refused for what a live one would be
 * refused for.
 */
export class StreamLesson {
  private readonly instruments = new Map<string, Instrument>();
  /** What each signal id stands for. */
  private readonly known = new Map<string, string>();
  private readonly counts = { messages: 0, repeated: 0, ignored: 0 };
  private readonly refused: Record<string, number> = {};
  private roundedSignals = 0;

  /** `latestNs`: see {@link BarHistory}. */
  constructor(
    private readonly features: FeatureSet,
    private readonly latestNs: bigint,
  ) {}

  hear(input: BusInput): void {
    this.counts.messages++;
    try {
      if (input.kind === 'signal') this.hearSignal(input.event);
      else if (!this.instrument(input.instrumentId).bars.add(input.bar)) this.counts.repeated++;
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      this.countRefusal(error.code);
    }
  }

  /** A message that is not of this system, or tells nothing to learn from. */
  passOver(): void {
    this.counts.messages++;
    this.counts.ignored++;
  }

  refuse(code: string): void {
    this.counts.messages++;
    this.countRefusal(code);
  }

  /**
   * Series of the instruments with bars and signals, by name. Throws NO_ROWS without bars,
   * INSUFFICIENT_DATA without a signal that saw one.
   */
  toSeries(): { series: TrainingSeries[]; counts: StreamLessonCounts } {
    const sum = { bars: 0, signals: 0, replaced: 0, withoutBar: 0, roundedCount: this.roundedSignals };
    const series: TrainingSeries[] = [];
    for (const [instrumentId, { bars: history, signals }] of [...this.instruments].sort(byName)) {
      sum.bars += history.count;
      sum.roundedCount += history.roundedCount;
      sum.signals += signals.length;
      const bars = history.toSeries();
      // Sorting is stable: equal times stay in the order of the stream.
      const timed = signals.sort((a, b) => Number(a.timestampNs - b.timestampNs));
      const seen = new Map<number, HeardSignal>();
      let joined = 0;
      const { byBar, decidedNs } = sidesByBar(timed, bars, (index, bar) => {
        seen.set(bar, timed[index]!);
        joined++;
      });
      sum.withoutBar += timed.length - joined;
      sum.replaced += joined - seen.size;
      if (seen.size === 0) continue;
      series.push({ instrumentId, bars, sides: byBar, decidedNs, features: this.columnsOf(seen, bars.length) });
    }
    if (sum.bars === 0) throw new OrchestratorError('NO_ROWS', this.told('no bars'), { field: 'bars' });
    if (series.length === 0) {
      throw new OrchestratorError('INSUFFICIENT_DATA', this.told('no signals that saw a bar'), { field: 'signals' });
    }
    return { series, counts: { ...this.counts, ...sum, instruments: series.length, refused: { ...this.refused } } };
  }

  private hearSignal(event: SignalEvent): void {
    checkSignal(event);
    const values = new Float64Array(this.features.user.length).fill(Number.NaN);
    if (event.signal !== 0) this.features.readUserFeatures(event.features, values);
    const { bars, signals } = this.instrument(event.instrumentId);
    if (event.bars !== undefined) bars.merge(event.bars);
    if (this.isRepeated(event)) return;
    const timestampNs = wholeSecondNs(event.timestamp);
    if (timestampNs !== event.timestamp) this.roundedSignals++;
    signals.push({ timestampNs, side: event.signal, values });
  }

  /** Whether the id came before. Where it stood for another signal, that counts as a refusal. */
  private isRepeated({ signalId, instrumentId, signal, timestamp }: SignalEvent): boolean {
    if (signalId === undefined) return false;
    const content = `${timestamp} ${signal} ${instrumentId}`;
    const before = this.known.get(signalId);
    if (before === undefined) {
      this.known.set(signalId, content);
      return false;
    }
    if (before === content) this.counts.repeated++;
    else this.countRefusal('SIGNAL_ID_REUSED');
    return true;
  }

  private instrument(instrumentId: string): Instrument {
    const known = this.instruments.get(instrumentId);
    if (known !== undefined) return known;
    // Not the key that records cannot hold.
    if (!isInstrumentId(instrumentId) || instrumentId === '__proto__') {
      throw new OrchestratorError('INVALID_INSTRUMENT', 'this is no name for an instrument', { field: 'instrumentId' });
    }
    const instrument = { bars: new BarHistory(this.latestNs), signals: [] };
    this.instruments.set(instrumentId, instrument);
    return instrument;
  }

  private columnsOf(seen: ReadonlyMap<number, HeardSignal>, length: number): Record<string, Float64Array> {
    const { user } = this.features;
    const columns = user.map((): Float64Array => new Float64Array(length).fill(Number.NaN));
    for (const [bar, { values }] of seen) for (const [k, value] of values.entries()) columns[k]![bar] = value;
    return Object.fromEntries(user.map((name, k) => [name, columns[k]!]));
  }

  private countRefusal(code: string): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1;
  }

  private told(what: string): string {
    const refused = Object.entries(this.refused).map(([code, count]) => `${count} ${code}`);
    const because = refused.length === 0 ? '' : `; refused: ${refused.join(', ')}`;
    return `${this.counts.messages} messages hold ${what}${because}`;
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

import type { BusInput } from '../../src/bus/message-bus.js';
import type { BarSeries } from '../../src/market/bar.js';
import type { SignalEvent } from '../../src/market/events.js';
import { seededUniform } from '../../src/random.js';
import { fixtureBars } from './bundles.js';
import { FAULT_FEATURE } from './faults.js';
import { MINUTE_NS } from './market.js';

/** One message of the drill's strategy. */
export interface DrillMessage {
  readonly input: BusInput;
  /** null for a bar. */
  readonly id: string | null;
  /** It must end in the dead letters. */
  readonly isBad: boolean;
}

/** Instruments whose bars come by themselves; those of the last come with its signals alone. */
const QUOTED = ['X', 'A', 'B'];
const CARRIED = 'C';
const CARRIED_BARS = 120;
const DECADE_NS = 3650n * 86_400_000_000_000n;
/** Messages until every instrument has whole windows. */
export const WARM_MESSAGES = 800;
/** Messages of a minute, about. */
const PER_MINUTE = 6;

/**
 * What a strategy sends: every minute a bar of each instrument, and signals before, between and after them. Most signals lie far beyond the bars, so that each sees whatever bar is stored
 * when it is let in; some bring their bars along, some come twice, and some are bad, of which one kind has bars that must not be stored.
 */
export function drillMessages(count: number, seed: number): DrillMessage[] {
  const input = new DrillInput(count, seed);
  while (input.messages.length < count) input.minute();
  return input.messages.slice(0, count);
}

class DrillInput {
  readonly messages: DrillMessage[] = [];
  private readonly random: () => number;
  private readonly bars: ReadonlyMap<string, BarSeries>;
  private readonly repeats: { readonly at: number; readonly message: DrillMessage }[] = [];
  private minutes = 0;
  private serial = 0;

  constructor(count: number, seed: number) {
    this.random = seededUniform(seed);
    const length = Math.ceil(count / PER_MINUTE) + 3 * CARRIED_BARS;
    this.bars = new Map([...QUOTED, CARRIED].map((name, k) => [name, fixtureBars(length, 100 + k)]));
  }

  minute(): void {
    const minute = this.minutes++;
    for (const instrumentId of QUOTED) {
      this.signals(minute - 1);
      const bar = this.bars.get(instrumentId)!.at(minute);
      this.push({ input: { kind: 'bar', instrumentId, bar }, id: null, isBad: false });
    }
    this.signals(minute);
    if (minute >= CARRIED_BARS && minute % 9 === 0) this.signal(CARRIED, minute, { bars: this.carried(minute) });
    if (minute > 0 && this.random() < 0.5) this.bad(minute);
  }

  private signals(minute: number): void {
    if (minute < 0 || this.random() < 0.45) return;
    const names = minute >= CARRIED_BARS ? [...QUOTED, CARRIED] : QUOTED;
    this.signal(names[Math.floor(this.random() * names.length)]!, minute, {});
  }

  private signal(instrumentId: string, minute: number, more: object, isBad = false): void {
    const { random } = this;
    const closeNs = this.bars.get(instrumentId)!.tsEventNs[minute]!;
    const draw = random();
    const event = {
      instrumentId,
      signalId: `s${this.serial++}`,
      signal: draw < 0.48 ? 1 : draw < 0.96 ? -1 : 0,
      // Bars of the carried instrument come seldom: between them one would be due, which a drill of its own is about.
      timestamp:
        instrumentId === CARRIED || random() < 0.7
          ? closeNs + DECADE_NS
          : random() < 0.5
            ? closeNs
            : closeNs - 7n * MINUTE_NS,
      features: { [FAULT_FEATURE]: minute },
      ...more,
    } as SignalEvent;
    const message = { input: { kind: 'signal', event } as const, id: event.signalId!, isBad };
    this.push(message);
    if (random() < 0.12) this.repeats.push({ at: this.messages.length + Math.floor(40 * random()), message });
  }

  private bad(minute: number): void {
    const draw = this.random();
    const [name] = QUOTED as [string];
    // Bars that would change the answers to what follows, if they were stored.
    if (draw < 0.4 && minute >= CARRIED_BARS) {
      this.signal(CARRIED, minute, { signal: 1, features: {}, bars: this.carried(minute) }, true);
    } else if (draw < 0.55) this.signal(name, minute, { signal: 7 }, true);
    else if (draw < 0.7) this.signal(name, minute, { timestamp: -5n }, true);
    else {
      const bar = { ...this.bars.get(name)!.at(minute), volume: 1e9 };
      this.push({ input: { kind: 'bar', instrumentId: name, bar }, id: null, isBad: true });
    }
  }

  private carried(minute: number): BarSeries {
    return this.bars.get(CARRIED)!.slice(minute + 1 - CARRIED_BARS, minute + 1);
  }

  private push(message: DrillMessage): void {
    this.messages.push(message);
    const due = this.repeats.findIndex(({ at }) => at <= this.messages.length);
    if (due >= 0) this.messages.push(this.repeats.splice(due, 1)[0]!.message);
  }
}

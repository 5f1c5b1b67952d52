import type { BusInput, BusTarget, Submission } from '../../src/bus/message-bus.js';
import { type ErrorCode, OrchestratorError } from '../../src/errors.js';
import type { Bar } from '../../src/market/bar.js';
import type { EnrichedSignalEvent, SignalEvent } from '../../src/market/events.js';
import { FIRST_CLOSE_NS, MINUTE_NS } from './market.js';

/** A side that the target refuses, as the orchestrator would. */
export const REFUSED_FIELD = 'signal';

/**
 * What stands for the orchestrator: notes what it is brought, in order, refuses what is wrong, and answers when it is told to. An answer's `asOfSequence` is the number of bars of
 * the instrument that were there when the signal came, so it tells what the signal saw.
 */
export class ScriptedTarget implements BusTarget {
  /** 'bar I0 3' and 'signal I0 id', in the order in which they came. */
  readonly log: string[] = [];
  /** The next so many calls are refused with the code, and change nothing. */
  refusals: { code: ErrorCode; count: number } = { code: 'OVERLOADED', count: 0 };
  answersAtOnce = true;
  private readonly bars = new Map<string, number>();
  private readonly newest = new Map<string, bigint>();
  private readonly open: (() => void)[] = [];

  addBar(instrumentId: string, bar: Bar): void {
    this.script();
    if (bar.open <= 0) throw new OrchestratorError('PRICE_NOT_POSITIVE', 'open is not positive', { field: 'open' });
    this.bars.set(instrumentId, this.barCount(instrumentId) + 1);
    this.newest.set(instrumentId, bar.tsEventNs);
    this.log.push(`bar ${instrumentId} ${(bar.tsEventNs - FIRST_CLOSE_NS) / MINUTE_NS}`);
  }

  newestNs(instrumentId: string): bigint {
    return this.newest.get(instrumentId) ?? 0n;
  }

  /** Bars within signals are nothing to this target. */
  mergeBars(_event: SignalEvent): void {}

  submit(event: SignalEvent): Submission {
    this.script();
    if (Math.abs(event.signal) > 1) {
      throw new OrchestratorError('INVALID_SIGNAL', 'signal must be −1, 0 or 1', { field: REFUSED_FIELD });
    }
    this.log.push(`signal ${event.instrumentId} ${event.signalId}`);
    const asOf = this.barCount(event.instrumentId);
    const answer = new Promise<EnrichedSignalEvent>((resolve) => {
      const give = (): void => resolve(answerOf(event, asOf));
      if (this.answersAtOnce) give();
      else this.open.push(give);
    });
    return { asOf, answer };
  }

  asOf({ instrumentId }: SignalEvent): number {
    return this.barCount(instrumentId);
  }

  asOfNs({ instrumentId }: SignalEvent): bigint {
    return this.newestNs(instrumentId);
  }

  dueNs(): null {
    return null;
  }

  async durable(): Promise<void> {}

  /** Signals that wait for their answer. */
  get waiting(): number {
    return this.open.length;
  }

  /** Answers them in their order. */
  answerAll(): void {
    for (const give of this.open.splice(0)) give();
  }

  private barCount(instrumentId: string): number {
    return this.bars.get(instrumentId) ?? 0;
  }

  private script(): void {
    if (this.refusals.count === 0) return;
    this.refusals.count--;
    throw new OrchestratorError(this.refusals.code, 'as the test wants it');
  }
}

export function barInput(instrument: number, minute: number, close = 100): BusInput & { kind: 'bar' } {
  const tsEventNs = FIRST_CLOSE_NS + BigInt(minute) * MINUTE_NS;
  const bar = { tsEventNs, open: close, high: close, low: close, close, volume: 1 };
  return { kind: 'bar', instrumentId: `I${instrument}`, bar };
}

/** `side` 2 is refused. */
export function signalInput(instrument: number, signalId: string, side = 1): BusInput & { kind: 'signal' } {
  const event = { instrumentId: `I${instrument}`, signal: side as 1, timestamp: 2n ** 62n + 1n, signalId };
  return { kind: 'signal', event };
}

/** An answer that says what its signal saw. */
export function answerOf(signalEvent: SignalEvent, asOfSequence: number): EnrichedSignalEvent {
  const confidence = { confidence: 0.5, regimeWeight: 0.5, toxicity: 0.5 };
  return {
    signalId: signalEvent.signalId ?? '',
    signalEvent,
    metaConfidence: confidence.confidence,
    regimeWeight: confidence.regimeWeight,
    toxicity: confidence.toxicity,
    size: 0.25,
    modelAvailable: false,
    toxicityAvailable: false,
    regimeAvailable: false,
    asOfNs: FIRST_CLOSE_NS,
    asOfSequence,
    generation: 0,
    modelId: '',
    latencyNs: 1,
    recorded: Promise.resolve(),
    toMetaOutput: () => confidence,
  };
}

import { OrchestratorError } from '../../src/errors.js';
import type { EnrichedSignalEvent, SignalEvent } from '../../src/market/events.js';
import type { ML4TOrchestrator } from '../../src/orchestrator.js';

/** Sends signals and keeps book of what became of each: what its promise said, and what the event said. */
export class SignalBook {
  /** What each promise resolved with, by the place of its signal. */
  readonly answers: EnrichedSignalEvent[] = [];
  /** What the others were rejected with. */
  readonly rejections: OrchestratorError[] = [];
  /** Places in the order in which the `enriched` event named them. */
  readonly emitted: number[] = [];
  sent = 0;
  private settled = 0;
  private readonly instruments: string[] = [];
  private onSettled: (() => void) | null = null;

  constructor(private readonly orchestrator: ML4TOrchestrator) {
    orchestrator.events.on('enriched', ({ signalId }) => this.emitted.push(Number(signalId)));
  }

  /** The signal's place is its id. The promise resolves when the signal's own has settled. */
  async send(event: SignalEvent): Promise<void> {
    const place = this.sent++;
    this.instruments[place] = event.instrumentId;
    try {
      this.answers[place] = await this.orchestrator.processSignal({ ...event, signalId: String(place) });
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      this.rejections.push(error);
    }
    this.settled++;
    if (this.open === 0) this.onSettled?.();
  }

  /** Signals whose promise has not settled. */
  get open(): number {
    return this.sent - this.settled;
  }

  /** Resolves when every promise has settled. */
  allSettled(): Promise<void> {
    if (this.open === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onSettled = resolve;
    });
  }

  /** Answers by promise or event that are missing, come twice, or overtook an earlier one of their instrument. */
  get faults(): { missing: number; doubled: number; overtaking: number } {
    const seen = new Set(this.emitted);
    const resolved = Object.keys(this.answers).length;
    let overtaking = 0;
    const newest = new Map<string, number>();
    for (const place of this.emitted) {
      const instrument = this.instruments[place]!;
      if ((newest.get(instrument) ?? -1) >= place) overtaking++;
      newest.set(instrument, place);
    }
    const missing = Math.max(this.sent - resolved, this.sent - seen.size) - this.rejections.length;
    return { missing, doubled: this.emitted.length - seen.size, overtaking };
  }
}

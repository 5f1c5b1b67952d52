import type { OrchestratorConfig } from '../config.js';
import type { Logger } from '../log.js';
import type { OutcomeEvent } from '../market/events.js';
import type { FollowedSignal } from '../outcomes/followed-signal.js';
import type { FeatureStoreReader } from '../shared-memory/feature-store-reader.js';
import { barMove } from '../training/decision-moves.js';
import { describeLookAhead, type LookAheadFigures, lookAheadFigures } from '../validation/look-ahead.js';
import type { LoopEvents } from './loop-events.js';

export interface LookAheadWatchParts {
  readonly reader: FeatureStoreReader;
  readonly entry: OrchestratorConfig['labels']['entry'];
  readonly logger: Logger;
  readonly emit: (event: 'lookAheadSuspected', ...parameters: Parameters<LoopEvents['lookAheadSuspected']>) => void;
}

/** Newest closed signals that are looked at, of all instruments. */
export const LOOK_AHEAD_WINDOW = 2000;
/** Closed signals between two looks, which take a fraction of a millisecond. */
const LOOK_EVERY = 100;
/**
 * Bars after which an instrument's count of rising ones is halved, so that it follows the market.
 */
const COUNTED_BARS_MAX = 4096;
/** Bars that rise and fall alike often, with which every count begins. */
const PRIOR_BARS = 20;

type Watched = Pick<FollowedSignal<unknown>, 'instrument' | 'side' | 'asOf'>;

/**
 * Looks whether live sides know the bar that their outcomes begin with, as a training does: for
 * signals that come with the stamps of the bars they were made from. Tells it once, by an event and
 * a line in the log, and again only when a whole window later it is still so or so again. Forgets
 * all of it when the process ends.
 */
export class LookAheadWatch {
  private readonly moves = {
    side: new Int8Array(LOOK_AHEAD_WINDOW),
    seen: new Int8Array(LOOK_AHEAD_WINDOW),
    first: new Int8Array(LOOK_AHEAD_WINDOW),
    isChange: new Uint8Array(LOOK_AHEAD_WINDOW),
    upShare: new Float64Array(LOOK_AHEAD_WINDOW),
  };
  private count = 0;
  /** Closed signals at which it may be told again. */
  private tellFrom = 0;
  private readonly last: (Watched | undefined)[] = [];
  private readonly rising: number[] = [];
  private readonly moved: number[] = [];
  private newest: LookAheadFigures | null = null;

  constructor(private readonly parts: LookAheadWatchParts) {}

  /** What the last look found; null before the first. */
  get figures(): LookAheadFigures | null {
    return this.newest;
  }

  /** To be called with every bar that is stored. */
  barAppended(instrument: number, sequence: number): void {
    const move = this.moveOf(instrument, sequence);
    if (move === 0) return;
    const [rising, moved] = [this.rising[instrument] ?? PRIOR_BARS / 2, this.moved[instrument] ?? PRIOR_BARS];
    const share = moved < COUNTED_BARS_MAX ? 1 : 0.5;
    this.rising[instrument] = (rising + (move > 0 ? 1 : 0)) * share;
    this.moved[instrument] = (moved + 1) * share;
  }

  /**
   * To be called with every closed signal, in order; `firstBar` is the bar that its outcome begins
   * with.
   */
  closed(signal: Watched, { metaLabel }: Pick<OutcomeEvent, 'metaLabel'>, firstBar: number): void {
    const { instrument, side, asOf } = signal;
    const before = this.last[instrument];
    this.last[instrument] = { instrument, side, asOf };
    // The path of a signal without a label may never have begun.
    if (metaLabel === null || asOf <= this.parts.reader.oldest(instrument)) return;
    const { moves } = this;
    const at = this.count++ % LOOK_AHEAD_WINDOW;
    moves.side[at] = side;
    moves.seen[at] = this.moveOf(instrument, asOf);
    moves.first[at] = this.moveOf(instrument, firstBar);
    moves.isChange[at] = before !== undefined && before.side === side && asOf - before.asOf <= 1 ? 0 : 1;
    moves.upShare[at] = (this.rising[instrument] ?? 1) / (this.moved[instrument] ?? 2);
    if (this.count % LOOK_EVERY === 0) this.look();
  }

  private look(): void {
    const { moves, count } = this;
    const held = Math.min(count, LOOK_AHEAD_WINDOW);
    // In the order they closed, so that neighbours in time fall into one block.
    const oldest = count > held ? count % LOOK_AHEAD_WINDOW : 0;
    const position = new Int32Array(held);
    for (let k = 0; k < held; k++) position[k] = (k - oldest + held) % held;
    const figures = lookAheadFigures({ ...moves, side: moves.side.subarray(0, held), position }, held);
    this.newest = figures;
    if (!figures.isSuspected || count < this.tellFrom) return;
    this.tellFrom = count + LOOK_AHEAD_WINDOW;
    this.parts.logger.warn({ ...figures, code: 'LOOK_AHEAD_SUSPECTED' }, describeLookAhead(figures));
    this.parts.emit('lookAheadSuspected', figures);
  }

  private moveOf(instrument: number, sequence: number): number {
    const { reader, entry } = this.parts;
    const { base, mask, close } = reader.columnsOf(instrument);
    const before = sequence === 0 ? -1 : base + ((sequence - 1) & mask);
    return barMove({ open: reader.open, close }, base + (sequence & mask), before, entry);
  }
}

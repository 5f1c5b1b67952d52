import type { Logger } from '../log.js';
import type { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import type { LoopEvents } from './loop-events.js';

export interface LateBarsParts {
  readonly store: FeatureStoreWriter;
  readonly logger: Logger;
  readonly emit: (event: 'barLate', ...parameters: Parameters<LoopEvents['barLate']>) => void;
  /** Counts them. */
  readonly onLateBar: () => void;
}

/**
 * Tells of bars that came after signals that should have seen them: an event each, a line in the
 * log once an instrument.
 */
export class LateBars {
  private readonly told = new Set<number>();

  constructor(private readonly parts: LateBarsParts) {}

  readonly tell = (instrument: number, sequence: number): void => {
    const { store, logger, emit, onLateBar } = this.parts;
    const instrumentId = store.idOf(instrument);
    const closeNs = store.tsEventNs(instrument, sequence);
    onLateBar();
    emit('barLate', { instrumentId, closeNs });
    if (this.told.has(instrument)) return;
    this.told.add(instrument);
    logger.warn(
      { instrumentId, closeNs: String(closeNs) },
      'a bar came after a signal that should have seen it: nothing is learned from such signals (said once an instrument)',
    );
  };
}

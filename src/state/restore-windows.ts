import { invariant } from '../invariant.js';
import type { Logger } from '../log.js';
import type { Bar } from '../market/bar.js';
import { VpinIndicator } from '../orderflow/vpin.js';
import type { FeatureStoreWriter } from '../shared-memory/feature-store-writer.js';
import type { StoredBars } from '../shared-memory/stored-bars.js';
import { joinBars } from './bar-blocks.js';
import { damaged } from './seal.js';
import type { StoredInstrument, StoredState } from './stored-state.js';

/** Bytes of a VPIN state that say with which parameters it was made. */
const VPIN_PARAMETER_BYTES = 56;

export interface RestoredWindows {
  readonly instruments: number;
  /** Bars that were put back into the rings. */
  readonly bars: number;
}

/**
 * Puts the newest bars of every instrument back into an empty feature store, under the same index, with the same bits and sequence numbers, and VPIN as if it had never stopped:
 * from the state stored with the last complete block and the bars after it. Where VPIN is configured differently than when the bars came, it starts anew on the window's bars.
 * Throws STORE_DAMAGED, and INSTRUMENTS_MAX where the store has become too small.
 */
export function restoreWindows(
  state: StoredState<unknown>,
  features: FeatureStoreWriter,
  logger: Logger,
): RestoredWindows {
  let bars = 0;
  let renewed = 0;
  const instruments = state.instruments();
  for (const instrument of instruments) {
    const first = Math.max(instrument.firstSequence, instrument.newest + 1 - features.shared.barsPerInstrument);
    const window = joinBars([...state.barsOf(instrument, first, instrument.newest)]);
    const { vpin, isRenewed } = restoreVpin(state, features, instrument, window);
    const index = features.restore(instrument.instrumentId, window, vpin);
    invariant(index === instrument.index, 'windows are restored into an empty feature store');
    bars += window.count;
    if (isRenewed) renewed++;
  }
  if (renewed > 0)
    logger.warn(
      { instruments: renewed },
      'VPIN is configured differently than when the bars were stored, and starts anew',
    );
  return { instruments: instruments.length, bars };
}

function restoreVpin(
  state: StoredState<unknown>,
  features: FeatureStoreWriter,
  instrument: StoredInstrument,
  window: StoredBars,
): { vpin: VpinIndicator; isRenewed: boolean } {
  const fresh = features.createVpin();
  const checkpoint = state.vpinCheckpoint(instrument.index);
  if (checkpoint !== null && !hasParameters(checkpoint.state, fresh.toState())) {
    feed(fresh, window, window.firstSequence);
    return { vpin: fresh, isRenewed: true };
  }
  const next = checkpoint === null ? 0 : checkpoint.sequence + 1;
  const vpin = checkpoint === null ? fresh : VpinIndicator.fromState(checkpoint.state);
  // A ring that has become smaller than a block may no longer reach back to the checkpoint.
  if (next < window.firstSequence) {
    for (const bars of state.barsOf(instrument, next, window.firstSequence - 1)) feed(vpin, bars, next);
  }
  feed(vpin, window, next);
  const last = window.columns.vpin.at(-1)!;
  if (checkpoint !== null && !Object.is(vpin.value ?? Number.NaN, last))
    throw damaged(`VPIN of ${instrument.instrumentId} does not continue`);
  return { vpin, isRenewed: false };
}

function hasParameters(stored: Uint8Array, wanted: Uint8Array): boolean {
  return Buffer.compare(stored.subarray(0, VPIN_PARAMETER_BYTES), wanted.subarray(0, VPIN_PARAMETER_BYTES)) === 0;
}

function feed(vpin: VpinIndicator, bars: StoredBars, fromSequence: number): void {
  const { tsEventNs, open, high, low, close, volume } = bars.columns;
  for (let k = Math.max(0, fromSequence - bars.firstSequence); k < bars.count; k++) {
    const bar: Bar = {
      tsEventNs: tsEventNs[k]!,
      open: open[k]!,
      high: high[k]!,
      low: low[k]!,
      close: close[k]!,
      volume: volume[k]!,
    };
    vpin.update(bar);
  }
}

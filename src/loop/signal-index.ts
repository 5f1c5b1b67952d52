import type { SignalRecord } from '../state/records.js';

/** Evaluated signals of one instrument, by as-of. */
export interface InstrumentSignals {
  readonly instrumentId: string;
  readonly ordinals: Float64Array;
  readonly asOfs: Float64Array;
}

/** Where stored signals lie: two numbers a signal, so that millions can be put in order without being held. */
export class SignalIndex {
  readonly modelIds = new Set<string>();
  count = 0;
  private readonly places = new Map<string, { readonly ordinals: number[]; readonly asOfs: number[] }>();

  add({ instrumentId, ordinal, asOf, modelId }: SignalRecord): void {
    let place = this.places.get(instrumentId);
    if (place === undefined) {
      place = { ordinals: [], asOfs: [] };
      this.places.set(instrumentId, place);
    }
    place.ordinals.push(ordinal);
    place.asOfs.push(asOf);
    if (modelId !== '') this.modelIds.add(modelId);
    this.count++;
  }

  /** Each instrument once; what is handed out is forgotten. */
  *byInstrument(): Iterable<InstrumentSignals> {
    for (const [instrumentId, { ordinals, asOfs }] of this.places) {
      this.places.delete(instrumentId);
      const order = Uint32Array.from(asOfs.keys()).sort((a, b) => asOfs[a]! - asOfs[b]! || a - b);
      yield {
        instrumentId,
        ordinals: Float64Array.from(order, (k) => ordinals[k]!),
        asOfs: Float64Array.from(order, (k) => asOfs[k]!),
      };
    }
  }
}

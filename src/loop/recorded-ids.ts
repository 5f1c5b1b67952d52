/** Ids remembered: a producer that sends a signal again does so soon. */
export const RECORDED_IDS_MAX = 131_072;

/** The newest recorded signals. One that is sent again is answered again, but neither recorded nor followed a second time. */
export class RecordedIds {
  private readonly ids = new Set<string>();

  /** False for an id that is known. */
  add(signalId: string): boolean {
    if (this.ids.has(signalId)) return false;
    this.ids.add(signalId);
    if (this.ids.size > RECORDED_IDS_MAX) {
      // A set keeps the order of insertion: the first is the oldest.
      for (const oldest of this.ids) {
        this.ids.delete(oldest);
        break;
      }
    }
    return true;
  }
}

/** What makes a signal the same one: an id that is given to another signal does not. */
export function identityOf(
  signalId: string,
  { instrumentId, timestamp }: { readonly instrumentId: string; readonly timestamp: bigint },
): string {
  return `${signalId}\n${instrumentId}\n${timestamp}`;
}

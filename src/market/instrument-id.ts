/** Longest instrument id, in UTF-8. */
export const INSTRUMENT_ID_BYTES_MAX = 127;

/** Whether this can name an instrument: well-formed text of 1 to 127 bytes. */
export function isInstrumentId(text: string): boolean {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length === 0 || bytes.length > INSTRUMENT_ID_BYTES_MAX) return false;
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes) === text;
}

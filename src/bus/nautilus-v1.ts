import type { Dialect } from './dialect.js';
import { type NautilusDatum, openNautilusDialect } from './nautilus-dialect.js';
import type { NautilusConfig } from './nautilus-messages.js';
import type { UntrustedObject } from './payload.js';

/** What Python nodes (1.x) read: flat objects. They refuse a `ts_` field that is no text. */
export function openNautilusV1(config: NautilusConfig): Dialect {
  return openNautilusDialect(config, { ownObject: flat, customObject: flat });
}

function flat({ typeName, fields, tsEvent, tsInit }: NautilusDatum): UntrustedObject {
  return { type: typeName, ...fields, ts_event: String(tsEvent), ts_init: String(tsInit) };
}

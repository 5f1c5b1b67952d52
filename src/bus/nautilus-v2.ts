import type { Dialect } from './dialect.js';
import { type NautilusDatum, openNautilusDialect } from './nautilus-dialect.js';
import type { NautilusConfig } from './nautilus-messages.js';
import type { UntrustedObject } from './payload.js';

/** What Rust nodes (2.x) read: custom data in an envelope, times as integers. They would read a fraction as seconds. */
export function openNautilusV2(config: NautilusConfig): Dialect {
  return openNautilusDialect(config, {
    ownObject: flat,
    customObject: (datum) => ({
      data_type: { metadata: {}, type_name: datum.typeName },
      payload: flat(datum),
      type: datum.typeName,
    }),
  });
}

function flat({ typeName, fields, tsEvent, tsInit }: NautilusDatum): UntrustedObject {
  return { type: typeName, ...fields, ts_event: tsEvent, ts_init: tsInit };
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './readme.js';

/** An entry that a real NautilusTrader node wrote to Redis, as its stream held it. */
export interface RecordedEntry {
  readonly version: NautilusVersion;
  /** Which encoding the node was set to, whatever the entry itself says. */
  readonly bus: 'json' | 'msgpack';
  readonly topic: string;
  readonly type: string;
  readonly encoding: string;
  readonly payload: Buffer;
}

export const NAUTILUS_VERSIONS = ['1.231.0', '2.0.0rc6'] as const;
type NautilusVersion = (typeof NAUTILUS_VERSIONS)[number];

/** What `test/nautilus/record_payloads.py` recorded of both versions, in both encodings: each kind of message. */
export function recordedEntries(): RecordedEntry[] {
  return entriesOf('');
}

/** Three days of four instruments in their order, with other data beside them and bars that are revised. */
export function recordedBusyDays(): RecordedEntry[] {
  return entriesOf('-busy');
}

function entriesOf(kind: '' | '-busy'): RecordedEntry[] {
  return NAUTILUS_VERSIONS.flatMap((version) =>
    readFileSync(join(ROOT, `test/bus/fixtures/nautilus-${version}${kind}.jsonl`), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => {
        const entry = JSON.parse(line) as Omit<RecordedEntry, 'payload' | 'version'> & { payload: string };
        return { ...entry, version, payload: Buffer.from(entry.payload, 'base64') };
      }),
  );
}

import { openDialect } from '../../src/bus/open-dialect.js';
import type { RedisSettings } from '../../src/bus/redis/redis-client.js';
import { StreamBus } from '../../src/bus/redis/stream-bus.js';
import { StreamClient } from '../../src/bus/redis/stream-client.js';
import { systemClock } from '../../src/clock.js';
import type { BusPosition } from '../../src/loop/loop-snapshot.js';
import { capturedLog, type LogLine } from './captured-log.js';
import { ScriptedTarget } from './scripted-target.js';
import { unlessHung } from './threads.js';

export interface Served {
  readonly bus: StreamBus;
  readonly target: ScriptedTarget;
  readonly client: StreamClient;
  readonly lines: LogLine[];
  /** The codes of busDown, and what busGap has told. */
  readonly downs: string[];
  readonly gaps: { readonly missing: number | null; readonly reason: string }[];
}

export interface ServedOptions {
  readonly position?: BusPosition | null;
  readonly target?: ScriptedTarget;
  /** How the bus reaches the server, if not as its client. */
  readonly url?: string;
}

/** A bus that is up, and its other end, until the call is over. */
export async function served(
  settings: RedisSettings,
  use: (served: Served) => Promise<void>,
  { position = null, target = new ScriptedTarget(), url = settings.url! }: ServedOptions = {},
): Promise<void> {
  const dialect = openDialect({ redis: settings, userFeatures: [] });
  const { logger, lines } = capturedLog();
  const parts = { settings: { ...settings, url }, dialect, target, clock: systemClock, logger, position };
  const bus = new StreamBus({ ...parts, awaitBarMs: 500 });
  const client = new StreamClient(settings, dialect);
  const [downs, gaps]: [Served['downs'], Served['gaps']] = [[], []];
  bus.events.on('busDown', ({ code }) => downs.push(code));
  bus.events.on('busGap', (gap) => gaps.push(gap));
  const up = new Promise<void>((resolve) => bus.events.once('busUp', () => resolve()));
  bus.start();
  try {
    await up;
    await use({ bus, target, client, lines, downs, gaps });
  } finally {
    await unlessHung(bus.stop(), 'the stop of the bus');
    await client.close();
  }
}

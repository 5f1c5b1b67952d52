import type { Clock } from '../clock.js';
import type { OrchestratorConfig } from '../config.js';
import type { Logger } from '../log.js';
import type { BusPosition } from '../loop/loop-snapshot.js';
import type { BusEvents, BusTarget, MessageBus } from './message-bus.js';
import { openDialect } from './open-dialect.js';
import { PubSubBus } from './redis/pubsub-bus.js';
import { hasServer } from './redis/redis-client.js';
import { StreamBus } from './redis/stream-bus.js';

export interface BusParts {
  readonly config: Pick<OrchestratorConfig, 'redis' | 'userFeatures' | 'awaitBarMs'>;
  readonly target: BusTarget;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How far an earlier process had come with the bars that the target has. */
  readonly position: BusPosition | null;
  readonly emit: <E extends keyof BusEvents>(event: E, ...parameters: Parameters<BusEvents[E]>) => void;
}

/** The configured bus, not started; null where none is configured. */
export function openBus({ config, emit, ...parts }: BusParts): MessageBus | null {
  const settings = config.redis;
  if (!hasServer(settings)) return null;
  const dialect = openDialect(config);
  const Bus = settings.mode === 'streams' ? StreamBus : PubSubBus;
  const target = settings.answerWhenRecorded ? answeringWhenRecorded(parts.target) : parts.target;
  const bus = new Bus({ ...parts, target, settings, dialect, awaitBarMs: config.awaitBarMs });
  bus.events.on('busUp', (up) => emit('busUp', up));
  bus.events.on('busDown', (down) => emit('busDown', down));
  bus.events.on('busGap', (gap) => emit('busGap', gap));
  bus.events.on('busRefused', (refused) => emit('busRefused', refused));
  bus.events.on('busIgnored', (ignored) => emit('busIgnored', ignored));
  bus.events.on('heartbeatsStopped', (stopped) => emit('heartbeatsStopped', stopped));
  bus.events.on('heartbeatsResumed', (resumed) => emit('heartbeatsResumed', resumed));
  return bus;
}

/** The same target, whose answers come when they are durable, those of an instrument in their order: a flat one is durable at once. */
function answeringWhenRecorded(target: BusTarget): BusTarget {
  const last = new Map<string, Promise<unknown>>();
  return {
    addBar: (instrumentId, bar) => target.addBar(instrumentId, bar),
    mergeBars: (event) => target.mergeBars(event),
    asOf: (event) => target.asOf(event),
    asOfNs: (event) => target.asOfNs(event),
    dueNs: (event) => target.dueNs(event),
    newestNs: (instrumentId) => target.newestNs(instrumentId),
    submit: (event, sight) => {
      const { asOf: fixed, answer } = target.submit(event, sight);
      const before = last.get(event.instrumentId);
      const recorded = answer.then(async (enriched) => {
        await enriched.recorded;
        await before;
        return enriched;
      });
      last.set(
        event.instrumentId,
        recorded.catch(() => undefined),
      );
      return { asOf: fixed, answer: recorded };
    },
    durable: () => target.durable(),
  };
}

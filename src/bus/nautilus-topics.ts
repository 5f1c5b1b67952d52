import type { OrchestratorConfig } from '../config.js';
import { type NautilusBarType, parseNautilusBarType } from './nautilus-bar-type.js';

/**
 * What a topic says of its messages. 'input': they may concern this system; 'historical': so may
 * the bars among them, which were published for somebody who asked for the past; 'none': `setting`
 * would take them, if any.
 */
export type TopicConcern =
  | { readonly kind: 'input' | 'historical' | 'heartbeat' }
  | { readonly kind: 'none'; readonly setting: string | null };

/** What is read. */
export type TopicSettings = Pick<OrchestratorConfig['redis'], 'signalType' | 'barSpec' | 'barSource'>;

export const BARS = 'data.bars.';
/**
 * Before the topic of what is published again, by v1 nodes; those of v2 have a prefix of their own,
 * behind which the topic need not stand.
 */
export const HISTORICAL = 'historical.';
const PIPELINE = 'data.pipeline.';
const SIGNALS = 'data.Signal';
/**
 * Custom data is published under the name of its class, everything else in lower case. What this
 * system writes is no signal.
 */
const CUSTOM = /^data\.(?!EnrichedSignal|RejectedSignal)\p{Lu}/u;
export const SIGNAL_TYPE = 'redis.signalType';

/** The topic without the asterisk that a v1 node puts behind topics of custom data. */
export function normaliseTopic(topic: string): string {
  return topic.endsWith('*') ? topic.slice(0, -1) : topic;
}

/** The topics of signals that are read, as nodes of either version name them. */
export function signalTopics({
  signalType,
  signalInstruments,
}: Pick<OrchestratorConfig['redis'], 'signalType' | 'signalInstruments'>): string[] {
  const names = Object.keys(signalInstruments).map((name) => `${SIGNALS}${title(name)}`);
  return [`data.${signalType}`, ...names].flatMap((topic) => [topic, `${topic}*`]);
}

export function concernOf(topic: string, settings: TopicSettings): TopicConcern {
  const name = normaliseTopic(topic);
  if (name === 'health:heartbeat') return { kind: 'heartbeat' };
  if (name.startsWith(PIPELINE)) return { kind: 'historical' };
  const isPast = name.startsWith(HISTORICAL);
  const live = isPast ? name.slice(HISTORICAL.length) : name;
  if (live.startsWith(BARS)) {
    const barType = parseNautilusBarType(live.slice(BARS.length));
    const setting = barType === null ? null : settingFor(barType, settings);
    return setting === null ? { kind: isPast ? 'historical' : 'input' } : { kind: 'none', setting };
  }
  const custom = `data.${settings.signalType}`;
  const isSignal = live === custom || live.startsWith(`${custom}.`) || live.startsWith(SIGNALS);
  if (isSignal && !isPast) return { kind: 'input' };
  return { kind: 'none', setting: !isPast && CUSTOM.test(live) ? SIGNAL_TYPE : null };
}

/** Which setting would take bars of the type; null where they are taken. */
export function settingFor({ spec, source }: NautilusBarType, { barSpec, barSource }: TopicSettings): string | null {
  if (spec !== barSpec.toUpperCase()) return 'redis.barSpec';
  return source === barSource ? null : 'redis.barSource';
}

/** As Python's `str.title()`, which names the class of a signal: upper case after everything that is no letter, lower case after a letter. */
export function title(name: string): string {
  return name.replace(/\p{L}+/gu, (word) => {
    const [first = '', ...rest] = word;
    return first.toUpperCase() + rest.join('').toLowerCase();
  });
}

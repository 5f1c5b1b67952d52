import type { OrchestratorConfig } from '../config.js';
import { parseNautilusBarType } from './nautilus-bar-type.js';

/** What a topic says of its messages. 'input': they may concern this system. */
export type TopicConcern = 'input' | 'heartbeat' | 'none';

export const BARS = 'data.bars.';
const SIGNALS = 'data.Signal';

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

/** `signalType`: the class of custom data that signals come as. Historical data is published again on topics of its own, and is of no concern. */
export function concernOf(topic: string, signalType: string, barSpec: string): TopicConcern {
  const name = normaliseTopic(topic);
  if (name === 'health:heartbeat') return 'heartbeat';
  if (name.startsWith(BARS)) return isOtherSpec(name.slice(BARS.length), barSpec) ? 'none' : 'input';
  const custom = `data.${signalType}`;
  return name === custom || name.startsWith(`${custom}.`) || name.startsWith(SIGNALS) ? 'input' : 'none';
}

function isOtherSpec(barType: string, barSpec: string): boolean {
  const parsed = parseNautilusBarType(barType);
  return parsed !== null && parsed.spec !== barSpec.toUpperCase();
}

/** As Python's `str.title()`, which names the class of a signal: upper case after everything that is no letter, lower case after a letter. */
export function title(name: string): string {
  return name.replace(/\p{L}+/gu, (word) => {
    const [first = '', ...rest] = word;
    return first.toUpperCase() + rest.join('').toLowerCase();
  });
}

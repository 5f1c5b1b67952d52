import type { RedisSettings } from './redis-client.js';

/** The keys of one partition. The braces put them all into one slot of a cluster, which a script needs. */
export interface PartitionKeys {
  readonly input: string;
  /** One for each dialect: a reader of one cannot read another. */
  readonly output: string;
  readonly dead: string;
  /** Held by the process that owns the partition. */
  readonly lease: string;
  /** How far each stream of a topic has been gathered. */
  readonly gathered: string;
  /** Set when the signal of that id got its reply. */
  readonly seen: (signalId: string) => string;
}

export function partitionKeys({ partition, dialect }: Pick<RedisSettings, 'partition' | 'dialect'>): PartitionKeys {
  const prefix = `ml4t:{${partition}}`;
  return {
    input: `${prefix}:in`,
    output: dialect === 'plain' ? `${prefix}:out` : `${prefix}:out:${dialect}`,
    dead: `${prefix}:dead`,
    lease: `${prefix}:lease`,
    gathered: `${prefix}:gathered`,
    seen: (signalId) => `${prefix}:seen:${signalId}`,
  };
}

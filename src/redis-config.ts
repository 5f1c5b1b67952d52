import { z } from 'zod';

const count = z.int().positive();
/** Names of keys and channels: text that a hash tag can hold. */
const keyPart = z.string().regex(/^[^{}\s]+$/, 'no braces, no blanks');
const redisUrl = z
  .string()
  .regex(/^rediss?:\/\//, { error: 'begins with redis:// or rediss://', abort: true })
  .refine(isReadable, 'is a URL, with `%25` for a `%` in the user or the password');

export const redisSchema = z.strictObject({
  url: redisUrl.nullable().default(null),
  cluster: z.array(redisUrl).default([]),
  options: z.record(z.string(), z.unknown()).default({}),
  mode: z.enum(['streams', 'pubsub']).default('streams'),
  dialect: z.enum(['plain', 'nautilus-v1', 'nautilus-v2']).default('plain'),
  encoding: z.enum(['json', 'msgpack']).default('json'),
  // A number comes from the environment, where 1 is one.
  partition: z.union([keyPart, z.int().min(0).transform(String)]).default('0'),
  group: keyPart.default('ml4t'),
  topicStreams: z.array(z.string().min(1)).default([]),
  signalsChannel: keyPart.default('nautilus:signals'),
  barsChannel: keyPart.default('nautilus:bars'),
  enrichedChannel: keyPart.default('nautilus:enriched_signals'),
  rejectedChannel: keyPart.default('nautilus:rejected_signals'),
  signalType: z.string().min(1).default('PrimarySignal'),
  signalInstruments: z.record(z.string(), z.string().min(1)).default({}),
  barSpec: z.string().min(1).default('1-MINUTE-LAST'),
  barSource: z.enum(['EXTERNAL', 'INTERNAL']).default('EXTERNAL'),
  inFlightMax: z.int().min(1).max(8192).default(1024),
  payloadBytesMax: z
    .int()
    .min(1024)
    .default(2 ** 20),
  leaseMs: z.int().min(500).max(60_000).default(5000),
  seenSeconds: count.default(86_400),
  inputKeep: z.int().min(10_000).nullable().default(1_000_000),
  outputKeep: count.default(1_000_000),
  answerWhenRecorded: z.boolean().default(false),
});

interface RedisPart {
  readonly redis: z.output<typeof redisSchema>;
  readonly dataDir: string | null;
}

/** What does not go together. */
export function redisIssues({ redis, dataDir }: RedisPart): { path: string; message: string }[] {
  const issues: { path: string; message: string }[] = [];
  const isCluster = redis.cluster.length > 0;
  if (isCluster && redis.url !== null) {
    issues.push({ path: 'redis.url', message: 'name a server or the nodes of a cluster, not both' });
  }
  if (isCluster && redis.topicStreams.length > 0) {
    issues.push({ path: 'redis.topicStreams', message: 'streams of single topics cannot be gathered in a cluster' });
  }
  if (isCluster && redis.mode === 'pubsub') {
    issues.push({ path: 'redis.mode', message: 'a cluster mends its subscriptions untold: take streams' });
  }
  const taken = new Set([redis.signalsChannel, redis.barsChannel]);
  for (const channel of ['enrichedChannel', 'rejectedChannel'] as const) {
    if (taken.has(redis[channel])) issues.push({ path: `redis.${channel}`, message: 'another channel has that name' });
    taken.add(redis[channel]);
  }
  if (redis.answerWhenRecorded && dataDir === null) {
    issues.push({ path: 'redis.answerWhenRecorded', message: 'nothing is recorded without a dataDir' });
  }
  return issues;
}

/** Whether the client library can read the address. */
function isReadable(url: string): boolean {
  try {
    const { username, password } = new URL(url);
    decodeURIComponent(username);
    decodeURIComponent(password);
    return true;
  } catch {
    return false;
  }
}

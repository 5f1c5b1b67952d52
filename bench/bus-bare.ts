import { Redis } from 'ioredis';
import { partitionKeys } from '../src/bus/redis/partition-keys.js';
import { ANSWER, DELIVER } from '../src/bus/redis/scripts.js';

/** A client that does what the bus does with the server, and nothing else: every signal gets an answer that was written beforehand. */
export interface BareServer {
  close(): Promise<void>;
}

const GROUP = 'ml4t';
const TOKEN = 'bare';
const READ_COUNT = 256;
/** Of the signals: as long as a real one, and nothing here looks at it. */
const DIGEST = '0123456789abcdef';

/** Reads the stream, delivers each batch to the group and answers it by the same two scripts, pipelined as the bus does. */
export async function bareStreams(
  url: string,
  partition: string,
  answer: (signalId: string) => string,
): Promise<BareServer> {
  const [reader, commands] = [new Redis(url), new Redis(url)];
  const keys = partitionKeys({ partition, dialect: 'plain' });
  await commands.xgroup('CREATE', keys.input, GROUP, '0', 'MKSTREAM').catch(() => undefined);
  await commands.set(keys.lease, TOKEN);
  await commands.script('LOAD', ANSWER.source);
  await commands.script('LOAD', DELIVER.source);
  let isOpen = true;
  let last = '0-0';
  const serve = async (): Promise<void> => {
    while (isOpen) {
      const streams = await reader.xread('COUNT', READ_COUNT, 'BLOCK', 1000, 'STREAMS', keys.input, last);
      const entries = streams?.[0]?.[1] ?? [];
      if (entries.length === 0) continue;
      last = entries.at(-1)![0];
      const pipeline = commands.pipeline();
      pipeline.call('EVALSHA', DELIVER.sha, 2, keys.lease, keys.input, TOKEN, GROUP, 'bare', entries.length);
      for (const [id, [, payload = '']] of entries) {
        const signalId = /"signalId":"(s\d+)"/.exec(payload)![1]!;
        const own = [keys.lease, keys.input, keys.output, keys.seen(signalId)];
        pipeline.call(
          'EVALSHA',
          ANSWER.sha,
          4,
          ...own,
          TOKEN,
          GROUP,
          id,
          86_400,
          1_000_000,
          DIGEST,
          'payload',
          answer(signalId),
        );
      }
      void pipeline.exec();
    }
  };
  const serving = serve().catch(() => undefined);
  return {
    close: async () => {
      isOpen = false;
      reader.disconnect();
      await serving;
      commands.disconnect();
    },
  };
}

/** Publishes an answer for every message. */
export async function barePubSub(
  url: string,
  input: string,
  output: string,
  answer: (signalId: string) => string,
): Promise<BareServer> {
  const [subscriber, publisher] = [new Redis(url), new Redis(url)];
  subscriber.on('message', (_channel: string, payload: string) => {
    void publisher.publish(output, answer(/"signalId":"(s\d+)"/.exec(payload)![1]!));
  });
  await subscriber.subscribe(input);
  return {
    close: async () => {
      subscriber.disconnect();
      publisher.disconnect();
    },
  };
}

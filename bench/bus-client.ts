// The other end of the bus in a process of its own: sends signals with so many on their way, and says in JSON how long each took to come back.
import { Redis } from 'ioredis';
import { type BusLoad, type BusTimes, payloadOf } from './bus-load.js';

await run(JSON.parse(process.argv[2]!) as BusLoad);

async function run(load: BusLoad): Promise<void> {
  const [sender, receiver] = [new Redis(load.url), new Redis(load.url)];
  const sentNs = new Map<number, bigint>();
  const latencies: number[] = [];
  let next = load.first;
  const end = load.first + load.count;
  const send = (): void => {
    const k = next++;
    sentNs.set(k, process.hrtime.bigint());
    const payload = payloadOf(load, k);
    if (load.mode === 'streams') void sender.xadd(load.input, '*', 'payload', payload);
    else void sender.publish(load.input, payload);
  };
  const startNs = process.hrtime.bigint();
  let onDone: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    onDone = resolve;
  });
  const received = (reply: string): void => {
    const k = Number(/"signalId":"s(\d+)"/.exec(reply)?.[1]);
    latencies.push(Number(process.hrtime.bigint() - sentNs.get(k)!));
    sentNs.delete(k);
    if (next < end) send();
    else if (sentNs.size === 0) onDone();
  };
  const listening =
    load.mode === 'streams' ? followStream(receiver, load, received, end) : follow(receiver, load, received);
  await listening.ready;
  for (let k = 0; k < load.window && next < end; k++) send();
  await done;
  const seconds = Number(process.hrtime.bigint() - startNs) / 1e9;
  sender.disconnect();
  receiver.disconnect();
  process.stdout.write(JSON.stringify({ latencies, seconds } satisfies BusTimes));
}

function follow(receiver: Redis, load: BusLoad, received: (reply: string) => void): { ready: Promise<unknown> } {
  receiver.on('message', (_channel: string, reply: string) => received(reply));
  return { ready: receiver.subscribe(load.output) };
}

function followStream(
  receiver: Redis,
  load: BusLoad,
  received: (reply: string) => void,
  end: number,
): { ready: Promise<unknown> } {
  const loop = async (): Promise<void> => {
    let last = (await receiver.xrevrange(load.output, '+', '-', 'COUNT', 1))[0]?.[0] ?? '0-0';
    resolveReady();
    for (let count = load.first; count < end; ) {
      const streams = await receiver.xread('COUNT', 256, 'BLOCK', 0, 'STREAMS', load.output, last);
      for (const [id, fields] of streams?.[0]?.[1] ?? []) {
        last = id;
        count++;
        received(fields[fields.indexOf('payload') + 1]!);
      }
    }
  };
  let resolveReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    resolveReady = resolve;
  });
  void loop();
  return { ready };
}

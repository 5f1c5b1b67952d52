import { eventually } from './eventually.js';
import type { RedisDrill } from './redis-drill.js';

/** What may happen to the drill. Each resolves when the harm is lifted, though maybe not yet mended. */
export const DRILL_FAULTS = {
  'kill orchestrator': async (drill: RedisDrill) => drill.replaceOrchestrator(),
  'kill redis': async ({ server }: RedisDrill) => server.restart(),
  'kill producer': async (drill: RedisDrill) => {
    await drill.producer.kill();
    drill.startProducer();
  },
  cut: async ({ proxy }: RedisDrill) => proxy.cut(),
  'hold sent': async (drill: RedisDrill) => hold(drill, 'sent'),
  'hold received': async (drill: RedisDrill) => hold(drill, 'received'),
  'hold both': async (drill: RedisDrill) => hold(drill, 'sent', 'received'),
  delay: async (drill: RedisDrill) => {
    drill.proxy.delayMs = 15;
    drill.allowMore();
    await moreLines(drill.producer, 5);
    drill.proxy.delayMs = 0;
  },
  memory: async (drill: RedisDrill) => {
    const { server, producer } = drill;
    const from = producer.lines.length;
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    drill.allowMore();
    await producer.said('refused OOM', from);
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
  },
  'client kill': async ({ server, random }: RedisDrill) => {
    const list = (await server.command('CLIENT', 'LIST')) as string;
    const ids = [...list.matchAll(/^id=(\d+) .*name=(?!test-admin)/gm)].map(([, id]) => id!);
    if (ids.length > 0) await server.command('CLIENT', 'KILL', 'ID', ids[Math.floor(random() * ids.length)]!);
  },
  pause: async ({ orchestrator, server }: RedisDrill) => {
    orchestrator.signal('SIGSTOP');
    while ((await server.command('EXISTS', 'ml4t:{0}:lease')) === 1);
    orchestrator.signal('SIGCONT');
  },
} satisfies Record<string, (drill: RedisDrill) => Promise<void>>;

export type FaultName = keyof typeof DRILL_FAULTS;

/** Until the owner has given the connection up. */
async function hold({ proxy, orchestrator }: RedisDrill, ...directions: ('sent' | 'received')[]): Promise<void> {
  const wasUp = orchestrator.isUp;
  proxy.hold(...directions);
  try {
    if (wasUp) await eventually(() => !orchestrator.isUp, 'an owner that is not up');
    else await proxy.holds(directions[0]!);
  } finally {
    proxy.release();
  }
}

async function moreLines({ lines }: RedisDrill['producer'], count: number): Promise<void> {
  const from = lines.length;
  await eventually(() => lines.length >= from + count, `${count} more messages sent`);
}

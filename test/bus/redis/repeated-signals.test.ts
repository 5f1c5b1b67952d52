import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusInput, BusReply } from '../../../src/bus/message-bus.js';
import { openDialect } from '../../../src/bus/open-dialect.js';
import { partitionKeys } from '../../../src/bus/redis/partition-keys.js';
import { RedisConnection, type RedisSettings } from '../../../src/bus/redis/redis-client.js';
import { entriesOf, frameOf } from '../../../src/bus/redis/stream-entries.js';
import { decodedAnswer } from '../../support/decoded-answer.js';
import { eventually } from '../../support/eventually.js';
import { type RedisServer, redisTest } from '../../support/redis-server.js';
import { signalInput } from '../../support/scripted-target.js';
import { type Served, served } from '../../support/served.js';

/** What a client is told of a reply, in short. */
function told(reply: BusReply): unknown[] {
  return reply.kind === 'enriched'
    ? ['answer', reply.answer.signalId, reply.answer.repeated]
    : [reply.rejection.code, reply.rejection.signalId, reply.rejection.repeated];
}

async function heardOf({ client }: Served, inputs: readonly BusInput[]): Promise<BusReply[]> {
  const heard: BusReply[] = [];
  await client.listen((reply) => heard.push(reply));
  for (const [k, input] of inputs.entries()) {
    await client.send(input);
    await eventually(() => heard.length === k + 1, `reply ${k}`);
  }
  return heard;
}

async function outputOf(settings: RedisSettings): Promise<Buffer[]> {
  const connection = await RedisConnection.open(settings, 'test');
  const entries = entriesOf(await connection.call('XRANGE', partitionKeys(settings).output, '-', '+'));
  connection.close();
  return entries.map((entry) => frameOf(entry)!.payload as Buffer);
}

/** A text whose bytes are those of the field `repeated` in either encoding, as far as text can have them. */
const SLY_ID = '"repeated":false ¨repeated\u0080 \\"repeated\\":false';

for (const dialect of ['plain', 'nautilus-v1', 'nautilus-v2'] as const) {
  for (const encoding of ['json', 'msgpack'] as const) {
    redisTest(
      `a signal that comes again gets a copy of its reply, equal but for one field (${dialect}, ${encoding})`,
      async (server: RedisServer) => {
        const settings = server.settings({ dialect, encoding });
        await served(settings, async (all) => {
          const signal = signalInput(0, SLY_ID);
          const refused = {
            kind: 'signal' as const,
            event: { ...signal.event, signalId: `bad ${SLY_ID}`, signal: 2 as 1 },
          };
          const heard = await heardOf(all, [signal, refused, signal, refused]);
          assert.equal(heard.map(told), [
            ['answer', SLY_ID, false],
            ['INVALID_SIGNAL', `bad ${SLY_ID}`, false],
            ['answer', SLY_ID, true],
            ['INVALID_SIGNAL', `bad ${SLY_ID}`, true],
          ]);
          const [answer, rejection, ...copies] = await outputOf(settings);
          for (const [k, first] of [answer!, rejection!].entries()) {
            const differing = [...first.keys()].filter((at) => first[at] !== copies[k]![at]);
            if (encoding === 'msgpack') assert.equal([first.length, differing.length], [copies[k]!.length, 1]);
            else assert.is(copies[k]!.length, first.length - 1, 'true is shorter than false');
          }
          const codec = openDialect({ redis: settings, userFeatures: [] });
          const [was, is] = [answer!, copies[0]!].map((payload) => decodedAnswer(codec, { payload }));
          assert.equal({ ...is!, repeated: false }, was!);
          await eventually(() => all.bus.metrics.inFlight === 0, 'every reply is known to be out');
          const { metrics } = all.bus;
          assert.equal([metrics.answered, metrics.rejected, metrics.duplicates], [1, 1, 2]);
          assert.is(await server.command('XLEN', partitionKeys(settings).dead), 1, 'a refusal has one dead letter');
        });
      },
    );
  }
}

redisTest('an id that another signal had is refused once, and a copy of that goes out afterwards', async (server) => {
  await served(server.settings(), async (all) => {
    const first = signalInput(0, 'a');
    const [instrument, side, time] = [
      { ...first.event, instrumentId: 'I1' },
      { ...first.event, signal: -1 as const },
      { ...first.event, timestamp: first.event.timestamp + 1n },
    ].map((event) => ({ kind: 'signal' as const, event }));
    const heard = await heardOf(all, [first, instrument!, side!, time!, side!, first]);
    assert.equal(heard.map(told), [
      ['answer', 'a', false],
      ['SIGNAL_ID_REUSED', 'a', false],
      ['SIGNAL_ID_REUSED', 'a', false],
      ['SIGNAL_ID_REUSED', 'a', false],
      ['SIGNAL_ID_REUSED', 'a', true],
      ['answer', 'a', true],
    ]);
    const [, refusal] = heard;
    assert.is(refusal?.kind === 'rejected' && refusal.rejection.instrumentId, 'I1');
    await eventually(() => all.bus.metrics.inFlight === 0, 'every reply is known to be out');
    const { answered, rejected, duplicates } = all.bus.metrics;
    assert.equal([answered, rejected, duplicates], [1, 3, 2]);
  });
});

redisTest('a signal whose reply is no longer kept is told so, and gets no second answer', async (server) => {
  const settings = server.settings();
  await served(settings, async (all) => {
    const [first] = await heardOf(all, [signalInput(0, 'a')]);
    assert.equal(told(first!), ['answer', 'a', false]);
    await server.command('XTRIM', partitionKeys(settings).output, 'MAXLEN', '=', 0);
    const [again] = await heardOf(all, [signalInput(0, 'a')]);
    assert.equal(told(again!), ['ALREADY_ANSWERED', 'a', true]);
    await eventually(() => all.bus.metrics.inFlight === 0, 'every reply is known to be out');
    const { answered, rejected, duplicates } = all.bus.metrics;
    assert.equal([answered, rejected, duplicates], [1, 0, 1]);
  });
});

redisTest(
  'a signal that cannot be read is refused beside the answers, and is the same when it comes again',
  async (server) => {
    const settings = server.settings();
    const { input, output, dead } = partitionKeys(settings);
    await served(settings, async ({ bus, client }) => {
      const heard: BusReply[] = [];
      await client.listen((reply) => heard.push(reply));
      const send = async (fields: object): Promise<unknown> =>
        server.command('XADD', input, '*', 'payload', JSON.stringify(fields));
      const signal = { type: 'signal', signalId: 'a', instrumentId: 'X', timestamp: '2024-02-29T12:00Z' };
      await send(signal);
      await send({ ...signal, timestamp: '1709208000000000000' });
      await send({ ...signal, signalId: undefined });
      await send({ type: 'order', signalId: 'b', instrumentId: 7 });
      await send({ type: 'bar', signalId: 'c', instrumentId: 'X' });
      await server.command('XADD', input, '*', 'payload', 'no JSON');
      await eventually(() => heard.length === 6, 'six replies');
      assert.equal(heard.map(told), [
        ['INVALID_SIGNAL', 'a', false],
        ['INVALID_SIGNAL', 'a', true],
        ['INVALID_SIGNAL', null, false],
        ['INVALID_MESSAGE', 'b', false],
        ['BAD_TIMESTAMP', null, false],
        ['PAYLOAD_MALFORMED', null, false],
      ]);
      assert.equal([await server.command('XLEN', output), await server.command('XLEN', dead)], [4, 5]);
      await eventually(() => bus.metrics.inFlight === 0, 'every reply is known to be out');
      assert.equal([bus.metrics.rejected, bus.metrics.duplicates], [5, 1]);
    });
  },
);

test.run();

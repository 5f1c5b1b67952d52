import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BusClient, BusInput, BusReply, BusTarget, MessageBus } from '../../src/bus/message-bus.js';
import { OrchestratorError } from '../../src/errors.js';
import { ML4TOrchestrator } from '../../src/orchestrator.js';
import { FIXTURE_INSTRUMENT, fixtureBars } from '../support/bundles.js';
import { silentLogger } from '../support/captured-log.js';
import { eventually } from '../support/eventually.js';
import { barInput, REFUSED_FIELD, ScriptedTarget, signalInput } from '../support/scripted-target.js';
import { BUS_RUNS } from '../support/sizes.js';
import { unlessHung } from '../support/threads.js';

/** One bus that is started, and a client of it. */
export interface OpenedBus {
  readonly bus: MessageBus;
  readonly client: BusClient;
  /** Another client of the same bus. */
  readonly another: () => BusClient;
  /** Ends everything, the bus too if it still runs. */
  readonly close: () => Promise<void>;
}

export interface BusTraits {
  readonly name: string;
  /** Resolves once the bus is up. */
  readonly open: (target: BusTarget) => Promise<OpenedBus>;
  /** What the target is too busy for waits in the bus, instead of being refused. */
  readonly canPushBack: boolean;
  /** Messages travel as bytes, which a rejection gives back: of any, of what is no signal, or of none. */
  readonly givesBack: 'all' | 'no-signals' | 'none';
  /** What a target that has stopped did not answer is kept for the next process, instead of being refused with STOPPED. */
  readonly keepsUnanswered: boolean;
}

const TURNS = 20;

/** What every bus promises, whatever it is made of. Registers the tests; the file that calls it runs them. */
export function messageBusContract(traits: BusTraits): void {
  const contract = new Contract(traits);
  contract.replies();
  contract.order();
  contract.busyTargets();
  contract.ends();
  contract.anyTraffic();
}

class Contract {
  constructor(private readonly traits: BusTraits) {}

  replies(): void {
    this.test('answers every signal once, bit for bit, and no bar', async ({ client, bus }) => {
      const replies = await listening(client);
      await sendAll(client, [barInput(0, 0), signalInput(0, 'a'), barInput(0, 1), signalInput(1, 'b')]);
      await eventually(() => replies.length >= 2, 'two answers');
      assert.equal(replies.map(idOf), ['a', 'b']);
      const [first] = replies;
      assert.is(first?.kind === 'enriched' && first.answer.timestamp, 2n ** 62n + 1n);
      assert.is(first?.kind === 'enriched' && first.answer.size, 0.25);
      await bus.stop();
      assert.is(replies.length, 2);
    });

    this.test('lets two clients hear every reply', async ({ client, another }) => {
      const other = another();
      const [replies, others] = [await listening(client), await listening(other)];
      await sendAll(other, [signalInput(0, 'a'), signalInput(0, 'b', 2)]);
      await sendAll(client, [signalInput(0, 'c')]);
      await eventually(() => replies.length >= 3 && others.length >= 3, 'three replies for each');
      assert.equal(replies.map(idOf).sort(), ['a', 'b', 'c']);
      assert.equal(others.map(idOf), replies.map(idOf));
      await other.close();
    });

    this.test('replies to a refused message with its code, and holds nothing up for it', async ({ client }) => {
      const replies = await listening(client);
      await sendAll(client, [signalInput(0, 'bad', 2), barInput(0, 0, -1), signalInput(0, 'good')]);
      await eventually(() => replies.length >= 3, 'three replies');
      const refusals = replies.flatMap((reply) => (reply.kind === 'rejected' ? [reply.rejection] : []));
      assert.equal(
        refusals.map(({ code, field, signalId }) => [code, field, signalId]),
        [
          ['INVALID_SIGNAL', REFUSED_FIELD, 'bad'],
          ['PRICE_NOT_POSITIVE', 'open', null],
        ],
      );
      const [signal, bar] = refusals;
      assert.equal([signal!.instrumentId, signal!.repeated, bar!.instrumentId], ['I0', false, null]);
      assert.is(signal!.payload !== null, this.traits.givesBack === 'all');
      assert.is(bar!.payload !== null, this.traits.givesBack !== 'none');
      if (signal!.payload !== null) assert.match(Buffer.from(signal!.payload).toString(), 'bad');
      assert.equal(replies.filter(({ kind }) => kind === 'enriched').map(idOf), ['good']);
    });
  }

  order(): void {
    this.test('brings bars and signals in the order in which they were sent', async ({ client, target }) => {
      const replies = await listening(client);
      const inputs = Array.from({ length: 60 }, (_, k) =>
        k % 3 === 2 ? signalInput(k % 2, `${k}`) : barInput(k % 2, k),
      );
      // Nobody waits for one before sending the next.
      await Promise.all(inputs.map((input) => client.send(input)));
      await eventually(() => replies.length >= 20, 'all answers');
      assert.equal(target.log, inputs.map(lineOf));
      for (const instrument of [0, 1]) {
        const own = inputs.filter((input) => input.kind === 'signal' && instrumentOf(input) === `I${instrument}`);
        const ids = replies.filter((reply) => instrumentOfReply(reply) === `I${instrument}`).map(idOf);
        assert.equal(
          ids,
          own.map((input) => (input.kind === 'signal' ? input.event.signalId : '')),
        );
      }
    });

    test(`${this.traits.name}: lets a signal see the bars sent before it and none sent after`, async () => {
      const bars = fixtureBars(160, 9);
      const orchestrator = new ML4TOrchestrator({ dispatch: 'inline' }, { logger: silentLogger });
      await orchestrator.start();
      const { client, close } = await this.traits.open(targetOf(orchestrator));
      try {
        const replies = await listening(client);
        const far = { instrumentId: FIXTURE_INSTRUMENT, signal: 1 as const, timestamp: 2n ** 62n };
        const sends = Array.from({ length: bars.length }, (_, k) => [
          client.send({ kind: 'bar', instrumentId: FIXTURE_INSTRUMENT, bar: bars.at(k) }),
          client.send({ kind: 'signal', event: { ...far, signalId: `${k}` } }),
        ]);
        await Promise.all(sends.flat());
        await eventually(() => replies.length >= bars.length, 'all answers');
        const seen = replies.map((reply) => (reply.kind === 'enriched' ? reply.answer : null));
        assert.equal(
          seen.map((answer) => [answer?.signalId, answer?.asOfSequence, answer?.asOfNs]),
          Array.from({ length: bars.length }, (_, k) => [`${k}`, k, bars.tsEventNs[k]]),
        );
      } finally {
        await close();
        await orchestrator.stop();
      }
    });
  }

  busyTargets(): void {
    const { canPushBack } = this.traits;
    const fate = canPushBack ? 'keeps, in order, what' : 'refuses what';
    for (const code of ['OVERLOADED', 'STORE_BEHIND', 'NOT_STARTED'] as const) {
      this.test(`${fate} the target refuses with ${code}`, async ({ client, target }) => {
        const replies = await listening(client);
        target.refusals = { code, count: 2 };
        const inputs = [signalInput(0, 'a'), barInput(0, 0), signalInput(0, 'b'), signalInput(0, 'c')];
        await sendAll(client, inputs);
        await eventually(() => replies.length >= (canPushBack ? 3 : 4), 'replies to all');
        assert.equal(target.log, inputs.slice(canPushBack ? 0 : 2).map(lineOf));
        const refused = replies.flatMap((reply) => (reply.kind === 'rejected' ? [reply.rejection.code] : []));
        assert.equal(refused, canPushBack ? [] : [code, code]);
      });
    }
  }

  ends(): void {
    this.test('lets signals on their way be answered when it stops, takes none after, stops once', async (opened) => {
      const { client, target, bus } = opened;
      const replies = await listening(client);
      target.answersAtOnce = false;
      await sendAll(client, [signalInput(0, 'a'), signalInput(0, 'b')]);
      await eventually(() => target.waiting === 2, 'both at the target');
      let isStopped = false;
      const stops = [bus.stop(), bus.stop()].map((stop) => stop.then(() => (isStopped = true)));
      for (let turn = 0; turn < TURNS; turn++) await new Promise(setImmediate);
      assert.not(isStopped);
      assert.is(bus.metrics.inFlight, 2);
      await client.send(signalInput(0, 'late')).catch((error: unknown) => {
        assert.ok(error instanceof OrchestratorError && error.code === 'BUS_UNAVAILABLE');
      });
      target.answerAll();
      await unlessHung(Promise.all(stops), 'the stop of a bus');
      await eventually(() => replies.length >= 2, 'both answers');
      assert.equal(replies.map(idOf), ['a', 'b']);
      assert.equal(target.log, ['signal I0 a', 'signal I0 b']);
      assert.is(bus.metrics.state, 'stopped');
      assert.is(bus.metrics.inFlight, 0);
      await unlessHung(bus.stop(), 'the third stop');
    });

    const fate = this.traits.keepsUnanswered ? 'does not reply to' : 'refuses';
    this.test(`${fate} what comes to a target that has stopped`, async ({ client, target, bus }) => {
      const replies = await listening(client);
      await sendAll(client, [signalInput(0, 'a')]);
      await eventually(() => replies.length >= 1, 'an answer');
      target.refusals = { code: 'STOPPED', count: 1 };
      await sendAll(client, [signalInput(0, 'b')]);
      await eventually(() => target.refusals.count === 0, 'the refusal');
      await unlessHung(bus.stop(), 'the stop of a bus');
      if (!this.traits.keepsUnanswered) await eventually(() => replies.length >= 2, 'a refusal');
      const codes = replies.map((reply) => (reply.kind === 'rejected' ? reply.rejection.code : 'answer'));
      assert.equal(codes, this.traits.keepsUnanswered ? ['answer'] : ['answer', 'STOPPED']);
    });

    test(`${this.traits.name}: starts when it is started twice, and after a stop no more`, async () => {
      const { bus, client, close } = await this.traits.open(new ScriptedTarget());
      let ups = 0;
      bus.events.on('busUp', () => ups++);
      bus.start();
      const replies = await listening(client);
      await client.send(signalInput(0, 'a'));
      await eventually(() => replies.length === 1, 'an answer');
      assert.is(ups, 0);
      await bus.stop();
      bus.start();
      assert.is(bus.metrics.state, 'stopped');
      await close();
    });
  }

  /** Against a model that is a list: what was valid arrives, in order, and every signal and bad message has its reply. */
  anyTraffic(): void {
    const step = fc.record({
      kind: fc.constantFrom('bar', 'signal', 'badBar', 'badSignal'),
      instrument: fc.nat(2),
      holdsBack: fc.boolean(),
    });
    test(`${this.traits.name}: keeps its promises for any traffic, and its numbers add up`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
          const target = new ScriptedTarget();
          const { bus, client, close } = await this.traits.open(target);
          try {
            const replies = await listening(client);
            const inputs = steps.map(({ kind, instrument }, k) => {
              if (kind === 'bar' || kind === 'badBar') return barInput(instrument, k, kind === 'bar' ? 100 : -1);
              return signalInput(instrument, `${k}`, kind === 'signal' ? 1 : 2);
            });
            for (const [k, { holdsBack }] of steps.entries()) {
              if (holdsBack) await client.send(inputs[k]!);
              else void client.send(inputs[k]!);
            }
            const of = (wanted: string): BusInput[] => inputs.filter((_input, k) => steps[k]!.kind === wanted);
            const [bars, signals] = [of('bar'), of('signal')];
            const bad = steps.length - bars.length - signals.length;
            await eventually(() => target.log.length >= bars.length + signals.length, 'all messages');
            await eventually(() => replies.length >= signals.length + bad, 'all replies');
            await bus.stop();
            const valid = inputs.filter((_input, k) => !steps[k]!.kind.startsWith('bad'));
            assert.equal(target.log, valid.map(lineOf));
            assert.is(replies.length, signals.length + bad);
            assert.equal(asOfs(replies), modelAsOfs(valid));
            const { metrics } = bus;
            assert.equal(
              [metrics.bars, metrics.signals, metrics.answered, metrics.rejected],
              [bars.length, signals.length, signals.length, bad],
            );
            assert.equal([metrics.inFlight, metrics.missing, metrics.duplicates], [0, 0, 0]);
          } finally {
            await close();
          }
        }),
        { numRuns: BUS_RUNS },
      );
    });
  }

  private test(title: string, run: (opened: OpenedBus & { target: ScriptedTarget }) => Promise<void>): void {
    test(`${this.traits.name}: ${title}`, async () => {
      const target = new ScriptedTarget();
      const opened = await this.traits.open(target);
      try {
        await run({ ...opened, target });
      } finally {
        target.answerAll();
        await opened.close();
      }
    });
  }
}

/** The replies a client hears from now on. */
export async function listening(client: BusClient): Promise<BusReply[]> {
  const replies: BusReply[] = [];
  await client.listen((reply) => replies.push(reply));
  return replies;
}

/** The target that an orchestrator is, as far as a bus needs it. */
function targetOf(orchestrator: ML4TOrchestrator): BusTarget {
  return {
    addBar: (instrumentId, bar) => orchestrator.addBar(instrumentId, bar),
    mergeBars: () => assert.unreachable('nothing is merged here'),
    submit: (event) => ({ asOf: -1, answer: orchestrator.processSignal(event) }),
    asOf: () => assert.unreachable('nothing waits here') as never,
    asOfNs: () => assert.unreachable('nothing waits here') as never,
    dueNs: () => null,
    newestNs: () => 0n,
    durable: async () => undefined,
  };
}

async function sendAll(client: BusClient, inputs: readonly BusInput[]): Promise<void> {
  for (const input of inputs) await client.send(input);
}

function asOfs(replies: readonly BusReply[]): Record<string, number> {
  const pairs = replies.flatMap((reply) =>
    reply.kind === 'enriched' ? [[reply.answer.signalId, reply.answer.asOfSequence] as const] : [],
  );
  return Object.fromEntries(pairs);
}

function modelAsOfs(inputs: readonly BusInput[]): Record<string, number> {
  const seen: Record<string, number> = {};
  const bars = new Map<string, number>();
  for (const input of inputs) {
    const count = bars.get(instrumentOf(input)) ?? 0;
    if (input.kind === 'bar') bars.set(input.instrumentId, count + 1);
    else seen[input.event.signalId!] = count;
  }
  return seen;
}

function lineOf(input: BusInput): string {
  const minute = (bar: BusInput & { kind: 'bar' }): bigint =>
    (bar.bar.tsEventNs - barInput(0, 0).bar.tsEventNs) / 60_000_000_000n;
  if (input.kind === 'bar') return `bar ${input.instrumentId} ${minute(input)}`;
  return `signal ${input.event.instrumentId} ${input.event.signalId}`;
}

function instrumentOf(input: BusInput): string {
  return input.kind === 'bar' ? input.instrumentId : input.event.instrumentId;
}

function instrumentOfReply(reply: BusReply): string | null {
  return reply.kind === 'enriched' ? reply.answer.instrumentId : null;
}

function idOf(reply: BusReply): string | null {
  return reply.kind === 'enriched' ? reply.answer.signalId : reply.rejection.signalId;
}

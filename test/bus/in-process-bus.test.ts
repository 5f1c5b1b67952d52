import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InProcessBus } from '../../src/bus/in-process-bus.js';
import { listening } from '../contracts/message-bus.js';
import { eventually } from '../support/eventually.js';
import { refusalOf } from '../support/refusal.js';
import { barInput, ScriptedTarget, signalInput } from '../support/scripted-target.js';

const QUEUE = 3;

/** Pauses that are over when the test says so. */
class Pauses {
  private over: (() => void) | null = null;

  readonly delay = (_ms: number, call: () => void): (() => void) => {
    this.over = call;
    return () => {
      this.over = null;
    };
  };

  get isWaiting(): boolean {
    return this.over !== null;
  }

  end(): void {
    const over = this.over;
    this.over = null;
    over?.();
  }
}

test('senders wait once the queue is full, and are let in, in their order, as the target takes messages', async () => {
  const [target, pauses] = [new ScriptedTarget(), new Pauses()];
  const bus = new InProcessBus({ target, queueMax: QUEUE, delay: pauses.delay });
  bus.start();
  target.refusals = { code: 'OVERLOADED', count: 2 };
  const client = bus.client();
  const sent: number[] = [];
  const sends = Array.from({ length: 6 }, async (_, k) => {
    await client.send(signalInput(0, `${k}`));
    sent.push(k);
  });
  await eventually(() => pauses.isWaiting, 'a pause');
  assert.equal(sent, [0, 1, 2]);
  assert.equal(target.log, []);
  pauses.end();
  assert.ok(pauses.isWaiting);
  assert.equal([target.log.length, sent.length], [0, QUEUE]);
  pauses.end();
  await Promise.all(sends);
  assert.equal(sent, [0, 1, 2, 3, 4, 5]);
  assert.equal(
    target.log,
    sent.map((k) => `signal I0 ${k}`),
  );
  await bus.stop();
});

test('messages sent before the start wait for it', async () => {
  const target = new ScriptedTarget();
  const bus = new InProcessBus({ target });
  const client = bus.client();
  const replies = await listening(client);
  await client.send(barInput(0, 0));
  await client.send(signalInput(0, 'a'));
  assert.equal([target.log.length, bus.metrics.state], [0, 'starting']);
  bus.start();
  await eventually(() => replies.length === 1, 'the answer');
  assert.equal(target.log, ['bar I0 0', 'signal I0 a']);
  await bus.stop();
});

test('a stop replies with STOPPED to what the bus has taken, and turns away who still waits', async () => {
  const [target, pauses] = [new ScriptedTarget(), new Pauses()];
  const bus = new InProcessBus({ target, queueMax: 1, delay: pauses.delay });
  bus.start();
  target.refusals = { code: 'STORE_BEHIND', count: 100 };
  const client = bus.client();
  const replies = await listening(client);
  await client.send(signalInput(0, 'a'));
  const refused = refusalOf(() => client.send(signalInput(0, 'b')));
  await bus.stop();
  assert.is((await refused).code, 'BUS_UNAVAILABLE');
  assert.equal(
    replies.map((reply) => reply.kind === 'rejected' && [reply.rejection.code, reply.rejection.signalId]),
    [['STOPPED', 'a']],
  );
  assert.not.ok(pauses.isWaiting);
  assert.is((await refusalOf(() => client.send(signalInput(0, 'c')))).code, 'BUS_UNAVAILABLE');
});

test('a client that is closed hears nothing more, and the others do', async () => {
  const bus = new InProcessBus({ target: new ScriptedTarget() });
  bus.start();
  const [leaving, staying] = [bus.client(), bus.client()];
  const [heard, replies] = [await listening(leaving), await listening(staying)];
  await leaving.close();
  await staying.send(signalInput(0, 'a'));
  await eventually(() => replies.length === 1, 'the answer');
  assert.is(heard.length, 0);
  await bus.stop();
});

test.run();

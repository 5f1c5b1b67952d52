import { MessageChannel, type MessagePort } from 'node:worker_threads';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Evaluation, type EvaluationStatus, type SignalRequest } from '../../src/shared-memory/evaluation.js';
import { SignalRingConsumer } from '../../src/shared-memory/signal-ring-consumer.js';
import {
  ANSWER_VALUES,
  controlWords,
  createSignalRing,
  DONE,
  EVALUATE,
  PASS,
  POISONED,
  type SharedSignalRing,
  SLOTS_AT,
  STOP,
  slotLayout,
  TAIL,
} from '../../src/shared-memory/signal-ring-layout.js';
import { SignalRingProducer } from '../../src/shared-memory/signal-ring-producer.js';
import { SignalRingSlots, SlotRequest } from '../../src/shared-memory/signal-ring-slots.js';
import { digest, ECHO_COLUMNS, ECHO_USER_VALUES, echo, echoRequest } from '../support/echo.js';
import { seededRandom } from '../support/market.js';
import { BELL_ROUNDS, PROPERTY_RUNS, RING_REQUESTS, SLEEP_ROUNDS } from '../support/sizes.js';
import { SleeperWord, type SleepVariant } from '../support/sleeper.js';
import { changesFrom, setWord, unlessHung, withThread } from '../support/threads.js';

const LINE_BYTES = 64;
const CONTROL_ROUNDS = 4;

function newRing(capacity: number, firstSequence = 0): SharedSignalRing {
  return createSignalRing(capacity, ECHO_USER_VALUES, ECHO_COLUMNS, firstSequence);
}

function newGate(words: number): { gate: SharedArrayBuffer; words: Int32Array } {
  const gate = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT);
  return { gate, words: new Int32Array(gate) };
}

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const operation = fc.constantFrom(EVALUATE, PASS, POISONED);
const userValues = fc.array(fc.double(), { minLength: 2, maxLength: 2 }).map((values) => Float64Array.from(values));
const request = fc.record({ instrument: int32, asOf: int32, side: fc.constantFrom(-1, 0, 1), userValues });
const answer = fc
  .record({
    status: fc.integer({ min: 0, max: 4 }).map((status) => status as EvaluationStatus),
    sizeReason: int32,
    modelIdHigh: int32,
    modelIdLow: int32,
    confidence: fc.double(),
    regimeWeight: fc.double(),
    toxicity: fc.double(),
    size: fc.double(),
    generation: fc.maxSafeNat(),
    featureNs: fc.double(),
    predictionNs: fc.double(),
    row: fc.float32Array({ minLength: 3, maxLength: 3 }),
  })
  .map(({ row, ...scalars }) => {
    const evaluation = Object.assign(new Evaluation(3), scalars);
    evaluation.row.set(row);
    return evaluation;
  });
/** Counters that wrap within the first few requests, and some that do not. */
const firstSequence = fc.oneof(
  fc.integer({ min: 2 ** 31 - 9, max: 2 ** 31 - 1 }),
  fc.integer({ min: -9, max: 0 }),
  int32,
);

function assertSame(actual: object, expected: object): void {
  for (const [name, value] of Object.entries(expected)) {
    const found: unknown = Reflect.get(actual, name);
    if (ArrayBuffer.isView(value)) {
      assert.is(Buffer.compare(bytesOf(found as Float64Array), bytesOf(value as Float64Array)), 0, name);
    } else assert.ok(Object.is(found, value), `${name} is ${String(found)}, not ${String(value)}`);
  }
}

function bytesOf(view: Float64Array | Float32Array): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

test('requests and answers go through unchanged and in order, also where the counters wrap', () => {
  const items = fc.array(fc.tuple(operation, request, answer), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(items, firstSequence, fc.integer({ min: 1, max: 9 }), (exchanged, first, capacity) => {
      const ring = createSignalRing(capacity, 2, 3, first);
      const producer = new SignalRingProducer(ring);
      const consumer = new SignalRingConsumer(ring);
      const read = new SlotRequest(2);
      const taken = new Evaluation(3);
      let sequence = first;
      for (let at = 0; at < exchanged.length; at += ring.slotCount) {
        const lap = exchanged.slice(at, at + ring.slotCount);
        for (const [what, asked] of lap) {
          assert.is(producer.write(what, asked as SignalRequest), sequence);
          sequence = (sequence + 1) | 0;
        }
        assert.ok(consumer.isEmpty, 'nothing is seen before it is submitted');
        assert.is(producer.heldCount, lap.length);
        producer.submit();
        for (const [what, asked, answered] of lap) {
          assert.not(consumer.isEmpty);
          consumer.read(read);
          assertSame(read, { ...asked, operation: what });
          consumer.answer(answered);
        }
        assert.ok(consumer.isEmpty);
        for (const [k, [, , answered]] of lap.entries()) {
          assert.is(producer.next(), (first + at + k) | 0);
          producer.take(taken);
          assertSame(taken, answered);
        }
        assert.is(producer.next(), null);
      }
    }),
    { seed: 5, numRuns: PROPERTY_RUNS },
  );
});

test('a ring refuses to hold more than its slots, also across the wrap of its counters', () => {
  const producer = new SignalRingProducer(newRing(4, 2 ** 31 - 2));
  for (let k = 0; k < 4; k++) producer.write(EVALUATE, echoRequest(k));
  assert.is(producer.heldCount, 4);
  assert.throws(() => producer.write(EVALUATE, echoRequest(4)), /no more than a ring holds/);
});

test('the halves of all slots lie on lines of their own, and their fields do not overlap', () => {
  for (let userCount = 0; userCount <= 70; userCount++) {
    for (let columnCount = 0; columnCount <= 90; columnCount++) {
      const { slotBytes, userValuesAt, answerAt, answerValuesAt, rowAt } = slotLayout(userCount, columnCount);
      assert.is(slotBytes % LINE_BYTES, 0);
      assert.is(answerAt % LINE_BYTES, 0);
      assert.ok(answerAt > 0 && userValuesAt >= 16 && answerValuesAt >= answerAt + 16);
      assert.ok(userValuesAt + 8 * userCount <= answerAt, 'the request ends before the answer begins');
      assert.ok(answerValuesAt + 8 * ANSWER_VALUES <= rowAt && rowAt + 4 * columnCount <= slotBytes);
      assert.is((userValuesAt % 8) + (answerValuesAt % 8) + (rowAt % 4), 0);
    }
  }
  assert.is(SLOTS_AT % LINE_BYTES, 0);
});

test('a request and its answer touch no line in common, nor any of another slot', () => {
  const counts: [number, number][] = [
    [0, 1],
    [6, 2],
    [7, 14],
    [30, 45],
  ];
  for (const [userCount, columnCount] of counts) {
    const ring = createSignalRing(4, userCount, columnCount);
    const slots = new SignalRingSlots(ring);
    const bytes = new Uint8Array(ring.buffer);
    const touched = (write: () => void): Set<number> => {
      const before = bytes.slice();
      write();
      return new Set([...bytes.keys()].filter((k) => bytes[k] !== before[k]).map((k) => Math.floor(k / LINE_BYTES)));
    };
    const full = Object.assign(new Evaluation(columnCount), { status: 1, sizeReason: -1, modelIdHigh: -1 });
    Object.assign(full, { modelIdLow: -1, confidence: 0.1, size: 0.3, generation: 0.7, featureNs: 0.9, toxicity: 0.2 });
    full.row.fill(0.1);
    const asked = { instrument: -1, asOf: -1, side: -1 as const, userValues: new Float64Array(userCount).fill(0.1) };
    const seen = new Set<number>();
    for (let sequence = 0; sequence < ring.slotCount; sequence++) {
      for (const lines of [
        touched(() => slots.writeRequest(sequence, PASS, asked)),
        touched(() => slots.writeAnswer(sequence, full)),
      ]) {
        assert.ok(lines.size > 0);
        for (const line of lines) {
          assert.not(seen.has(line), `line ${line}, ${userCount} values, ${columnCount} columns`);
          seen.add(line);
        }
      }
    }
  }
});

test('what is to be done with a request can change until it is read', () => {
  const ring = newRing(8);
  const producer = new SignalRingProducer(ring);
  const consumer = new SignalRingConsumer(ring);
  const read = new SlotRequest(ECHO_USER_VALUES);
  const answered = new Evaluation(ECHO_COLUMNS);
  const sequences = [0, 1, 2, 3].map((k) => producer.write(EVALUATE, echoRequest(k)));
  producer.submit();
  producer.pass(sequences[1]!);
  producer.poison(sequences[2]!);
  const operations: number[] = [];
  for (const sequence of sequences) {
    consumer.read(read);
    if (sequence === sequences[3]) producer.pass(sequence);
    operations.push(read.operation);
    assertSame(read, { ...echoRequest(sequence), operation: read.operation });
    echo(read, answered);
    consumer.answer(answered);
  }
  assert.equal(operations, [EVALUATE, PASS, POISONED, EVALUATE]);
  for (const sequence of sequences) {
    assert.is(producer.next(), sequence);
    producer.take(answered);
    assert.is(answered.modelIdHigh, sequence, 'the change touched no answer');
  }
});

test('the next consumer begins at the first request that was not answered, and main counts on unharmed', () => {
  for (const first of [0, -2, 2 ** 31 - 2]) {
    const ring = newRing(8, first);
    const producer = new SignalRingProducer(ring);
    const read = new SlotRequest(ECHO_USER_VALUES);
    const answered = new Evaluation(ECHO_COLUMNS);
    const dead = new SignalRingConsumer(ring);
    assert.is(producer.suspect(), null);
    assert.is(producer.pulse(), null, 'nothing to get on with');
    for (let k = 0; k < 5; k++) producer.write(EVALUATE, echoRequest(k));
    producer.submit();
    for (let k = 0; k < 2; k++) {
      dead.read(read);
      echo(read, answered);
      dead.answer(answered);
    }
    const pulse = producer.pulse();
    dead.read(read);
    assert.is.not(producer.pulse(), pulse);
    assert.is(producer.suspect(), (first + 2) | 0);
    producer.arm();
    producer.buryWorker();
    const successor = new SignalRingConsumer(ring);
    assert.not(successor.takeBell(), 'the wish for a bell is buried');
    for (let k = 2; k < 5; k++) {
      successor.read(read);
      assertSame(read, echoRequest(k));
      echo(read, answered);
      successor.answer(answered);
    }
    assert.ok(successor.isEmpty);
    for (let k = 0; k < 5; k++) {
      producer.take(answered);
      assert.is(answered.modelIdHigh, k);
    }
    assert.is(producer.next(), null);
  }
});

test('a wish for a bell is taken once, and is not lost between an answer and the look for it', () => {
  const ring = newRing(4);
  const producer = new SignalRingProducer(ring);
  const consumer = new SignalRingConsumer(ring);
  assert.not(consumer.takeBell());
  assert.ok(producer.arm());
  assert.ok(consumer.takeBell());
  assert.not(consumer.takeBell());
  producer.write(EVALUATE, echoRequest(0));
  producer.submit();
  consumer.answer(new Evaluation(ECHO_COLUMNS));
  assert.not(producer.arm(), 'an answer is there');
  producer.disarm();
  assert.not(consumer.takeBell());
});

/** Main's end of the bell: counts what rings, and waits for the next ring or for what else the worker has to say. */
class Bell {
  rungCount = 0;
  private onRing: () => void = () => undefined;
  private onWord: (word: unknown) => void = () => undefined;

  constructor(private readonly port: MessagePort) {
    port.on('message', (message: unknown) => {
      if (message !== 'bell') return this.onWord(message);
      this.rungCount++;
      this.onRing();
    });
  }

  ring(): Promise<void> {
    return new Promise((resolve) => {
      this.onRing = resolve;
    });
  }

  word(): Promise<unknown> {
    return new Promise((resolve) => {
      this.onWord = resolve;
    });
  }

  close(): void {
    this.port.close();
  }
}

async function withEcho(
  ring: SharedSignalRing,
  use: (producer: SignalRingProducer, bell: Bell) => Promise<void>,
): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const bell = new Bell(port1);
  try {
    await withThread('echo', { ring, bell: port2 }, () => use(new SignalRingProducer(ring), bell), [port2]);
  } finally {
    bell.close();
  }
}

test('two threads pass requests in order, none lost and none doubled', async () => {
  const ring = newRing(256, 2 ** 31 - 1 - RING_REQUESTS / 2);
  await withEcho(ring, async (producer, bell) => {
    const random = seededRandom(3);
    const taken = new Evaluation(ECHO_COLUMNS);
    const expected = new Evaluation(ECHO_COLUMNS);
    let [sent, received, sum, expectedSum, slept] = [0, 0, 0, 0, 0];
    while (received < RING_REQUESTS) {
      const burst = Math.min(Math.ceil(64 * random()), ring.slotCount - producer.heldCount, RING_REQUESTS - sent);
      for (let k = 0; k < burst; k++) producer.write(EVALUATE, echoRequest(sent++));
      producer.setHot(random() < 0.5);
      if (burst > 0) producer.submit();
      while (producer.next() !== null) {
        producer.take(taken);
        assert.is(taken.modelIdHigh, received);
        sum = digest(sum, taken);
        echo(echoRequest(received++), expected);
        expectedSum = digest(expectedSum, expected);
      }
      if (producer.heldCount === ring.slotCount || random() < 0.05) {
        producer.setHot(false);
        const rung = bell.ring();
        if (producer.heldCount > 0 && producer.arm()) {
          slept++;
          await unlessHung(rung, 'the bell does not ring');
        }
      }
    }
    assert.is(sent, received);
    assert.is(sum, expectedSum);
    assert.ok(slept > 0, 'main slept now and then');
    console.log(`${received} requests, main slept ${slept} times`);
  });
});

test('a request that is shown before it is written is answered wrongly, and the checksum sees it', async () => {
  const ring = newRing(16);
  await withEcho(ring, async (producer) => {
    const control = controlWords(ring);
    const slots = new SignalRingSlots(ring);
    const taken = new Evaluation(ECHO_COLUMNS);
    const idle = new Int32Array(new SharedArrayBuffer(4));
    let [wrong, sum, expectedSum] = [0, 0, 0];
    const expected = new Evaluation(ECHO_COLUMNS);
    for (let sequence = 0; sequence < 100; sequence++) {
      Atomics.store(control, TAIL, sequence + 1);
      producer.wake();
      while (Atomics.load(control, DONE) !== sequence + 1) Atomics.wait(idle, 0, 0, 1);
      slots.writeRequest(sequence, EVALUATE, echoRequest(sequence + 1));
      producer.take(taken);
      if (taken.modelIdHigh !== sequence + 1) wrong++;
      sum = digest(sum, taken);
      echo(echoRequest(sequence + 1), expected);
      expectedSum = digest(expectedSum, expected);
    }
    assert.is(wrong, 100);
    assert.is.not(sum, expectedSum);
  });
});

test('main that arms the bell and finds no answer is always called', async () => {
  const ring = newRing(64);
  await withEcho(ring, async (producer, bell) => {
    const random = seededRandom(9);
    const taken = new Evaluation(ECHO_COLUMNS);
    let [waited, armed] = [0, 0];
    for (let round = 0; round < BELL_ROUNDS; round++) {
      for (let k = 0; k < 1 + (round & 3); k++) producer.write(EVALUATE, echoRequest(round));
      producer.submit();
      // A moment of its own for the worker, so that it answers before, while and after main arms.
      for (let spin = 500 * random(); spin > 0; spin--) producer.next();
      while (producer.heldCount > 0) {
        const rung = bell.ring();
        armed++;
        if (producer.arm()) {
          waited++;
          await unlessHung(rung, 'the bell does not ring');
        } else producer.disarm();
        while (producer.next() !== null) producer.take(taken);
      }
    }
    const told = bell.word();
    producer.stop();
    assert.is(
      await unlessHung(told, 'the worker does not stop'),
      bell.rungCount,
      'every bell that was rung has arrived, once',
    );
    assert.ok(bell.rungCount <= armed, 'no bell without a wish');
    assert.ok(waited > 0, 'main had to wait now and then');
    console.log(`${armed} wishes, ${waited} waited, ${bell.rungCount} bells`);
  });
});

/** In every round main arms while the worker is between its two steps. Returns in how many it waited for a bell that never rang. */
async function missedBells(rounds: number, control: boolean): Promise<{ missed: number; waited: number }> {
  const ring = newRing(4);
  const { gate, words } = newGate(2);
  const { port1, port2 } = new MessageChannel();
  const bell = new Bell(port1);
  const workerData = { ring, bell: port2, gate, rounds, control };
  try {
    return await withThread(
      'bell-ringer',
      workerData,
      async () => {
        const producer = new SignalRingProducer(ring);
        const taken = new Evaluation(ECHO_COLUMNS);
        let [missed, waited] = [0, 0];
        for (let round = 1; round <= rounds; round++) {
          producer.write(EVALUATE, echoRequest(round));
          producer.submit();
          assert.ok(changesFrom(words, 0, round - 1), 'the worker reaches its hold');
          const waits = producer.arm();
          const rungBefore = bell.rungCount;
          const quiet = bell.word();
          setWord(words, 1, round);
          await unlessHung(quiet, 'the worker falls quiet');
          producer.disarm();
          producer.take(taken);
          if (waits) waited++;
          if (waits && bell.rungCount === rungBefore) missed++;
        }
        return { missed, waited };
      },
      [port2],
    );
  } finally {
    bell.close();
  }
}

test('a bell that is armed between an answer and the look for it is not waited for in vain, and would be the other way round', async () => {
  const real = await missedBells(SLEEP_ROUNDS, false);
  assert.equal(real, { missed: 0, waited: 0 }, 'main saw the answer');
  assert.equal(await missedBells(CONTROL_ROUNDS, true), { missed: CONTROL_ROUNDS, waited: CONTROL_ROUNDS });
});

const CALLS = {
  submit: (producer: SignalRingProducer, _words: Int32Array, round: number): boolean => {
    producer.write(EVALUATE, echoRequest(round));
    return producer.submit();
  },
  stop: (producer: SignalRingProducer): boolean => {
    producer.stop();
    return true;
  },
  model: (producer: SignalRingProducer, words: Int32Array, round: number): boolean => {
    Atomics.store(words, SleeperWord.model, round);
    return producer.wake();
  },
} as const;
type Call = keyof typeof CALLS;
const EVERY_CALL = Object.keys(CALLS) as Call[];

/** Calls the worker once a round while it is between its last look and its wait. Returns in how many rounds it slept through the call. */
async function sleptThrough(variant: SleepVariant, calls: readonly Call[]): Promise<number> {
  const ring = newRing(4);
  const { gate, words } = newGate(SleeperWord.words);
  const workerData = { ring, gate, rounds: calls.length, variant };
  return withThread('sleeper', workerData, async () => {
    const producer = new SignalRingProducer(ring);
    const taken = new Evaluation(ECHO_COLUMNS);
    let missed = 0;
    for (const [k, call] of calls.entries()) {
      const round = k + 1;
      setWord(words, SleeperWord.round, round);
      assert.ok(changesFrom(words, SleeperWord.parked, k), 'the worker reaches its hold');
      assert.ok(CALLS[call](producer, words, round), 'it counts as asleep already');
      setWord(words, SleeperWord.released, round);
      assert.ok(changesFrom(words, SleeperWord.awake, k), `the worker sleeps through a ${call}, round ${round}`);
      if (Atomics.load(words, SleeperWord.timedOut) === round) missed++;
      Atomics.store(controlWords(ring), STOP, 0);
      while (producer.next() !== null) {
        producer.take(taken);
        assert.is(taken.modelIdHigh, round);
      }
      assert.is(producer.heldCount, 0);
    }
    return missed;
  });
}

for (const call of EVERY_CALL) {
  test(`a worker caught between its last look and its sleep does not sleep through a ${call}`, async () => {
    await sleptThrough('wake', Array<Call>(SLEEP_ROUNDS).fill(call));
  });
}

test('a worker that is called in any order sleeps through nothing', async () => {
  const random = seededRandom(21);
  await sleptThrough(
    'wake',
    Array.from({ length: SLEEP_ROUNDS }, () => EVERY_CALL[Math.floor(EVERY_CALL.length * random())]!),
  );
});

test('a worker that waits on TAIL sleeps through a stop and a model, one that reads WAKE after its last look through everything', async () => {
  for (const call of EVERY_CALL) {
    const calls = Array<Call>(CONTROL_ROUNDS).fill(call);
    assert.is(await sleptThrough('tail', calls), call === 'submit' ? 0 : CONTROL_ROUNDS, `TAIL, ${call}`);
    assert.is(await sleptThrough('late', calls), CONTROL_ROUNDS, `late, ${call}`);
  }
});

test.run();

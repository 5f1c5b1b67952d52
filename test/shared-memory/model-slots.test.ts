import { once } from 'node:events';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ModelPublisher } from '../../src/shared-memory/model-publisher.js';
import { ModelReader } from '../../src/shared-memory/model-reader.js';
import {
  createModelSlots,
  hazardAt,
  modelControlWords,
  modelSlotViews,
  NO_VERSION,
  slotCountFor,
  slotOf,
  versionOf,
} from '../../src/shared-memory/model-slots-layout.js';
import { refusalOf } from '../support/refusal.js';
import { PROPERTY_RUNS, RACE_PUBLISHES } from '../support/sizes.js';
import { isWhole, ModelRace, NaiveBuffers, STAMPED_BYTES_MAX, stampInto } from '../support/stamped-model.js';
import { changesFrom, setWord, unlessHung, withThread } from '../support/threads.js';

const READERS = 3;
/** Torn reads the control must show before its race may end. */
const CONTROL_TORN_MIN = 10;
/** Different models each racing reader must have seen. */
const SEEN_MIN = 100;
/** Far more than any race takes. */
const PUBLISHES_MAX = 100 * RACE_PUBLISHES + 3_000_000;

/** Slots with a publisher that stamps what it publishes. */
class Stage {
  readonly slots;
  readonly publisher: ModelPublisher;
  readonly readers: readonly ModelReader[];
  generation = 0;
  private readonly words = new Uint32Array(STAMPED_BYTES_MAX / 4);

  constructor(readerCount = READERS) {
    this.slots = createModelSlots(readerCount, STAMPED_BYTES_MAX);
    this.publisher = new ModelPublisher(this.slots);
    this.readers = Array.from({ length: readerCount }, (_, id) => new ModelReader(this.slots, id));
  }

  next(): Uint8Array {
    return stampInto(this.words, ++this.generation);
  }

  publish(count = 1): void {
    for (let k = 0; k < count; k++) this.publisher.publish(this.next(), this.generation);
  }

  stage(): void {
    this.publisher.stage(this.next(), this.generation);
  }
}

test('there are two slots more than readers, each wholly its own', () => {
  for (const readerCount of [1, 2, 7, 254]) {
    const slots = createModelSlots(readerCount, 100);
    const views = modelSlotViews(slots);
    assert.is(views.length, readerCount + 2);
    assert.is(slotCountFor(readerCount), readerCount + 2);
    let end = modelControlWords(slots).byteLength;
    for (const { generation, byteCount, bytes } of views) {
      assert.ok(generation.byteOffset >= end && byteCount.byteOffset >= generation.byteOffset + 8);
      assert.ok(bytes.byteOffset >= byteCount.byteOffset + 4 && bytes.byteLength >= 100);
      end = bytes.byteOffset + bytes.byteLength;
    }
    assert.is(end, slots.buffer.byteLength);
  }
  assert.throws(() => new ModelPublisher(createModelSlots(255, 64)), /eight bits/);
});

test('before the first model there is nothing to read, and after a publish there is that model', () => {
  const stage = new Stage();
  const [reader] = stage.readers as [ModelReader];
  assert.is(reader.current, NO_VERSION);
  assert.is(
    reader.readCurrent(() => 'read'),
    undefined,
  );
  stage.publish();
  assert.is.not(reader.current, NO_VERSION);
  const seen = reader.readCurrent((bytes, generation, version) => [isWhole(bytes, generation), generation, version]);
  assert.equal(seen, [true, 1, reader.current]);
  assert.is(stage.publisher.announced(0), null, 'nothing is announced after a read');
});

test('a read that throws announces nothing any more', () => {
  const stage = new Stage();
  stage.publish();
  assert.throws(
    () =>
      stage.readers[1]!.readCurrent(() => {
        assert.is(stage.publisher.announced(1), slotOf(stage.readers[1]!.current));
        throw new Error('cannot decode');
      }),
    /cannot decode/,
  );
  assert.is(stage.publisher.announced(1), null);
});

test('with every reader in a slot of its own there is still one to publish into, as often as one likes', () => {
  const stage = new Stage(5);
  const announced = new Set<number | null>();
  const enter = (id: number): void => {
    stage.publish();
    const reader = stage.readers[id];
    if (reader === undefined) stage.publish(3 * slotCountFor(5));
    reader?.readCurrent((bytes, generation) => {
      announced.add(stage.publisher.announced(id));
      enter(id + 1);
      assert.ok(isWhole(bytes, generation), `reader ${id}`);
    });
  };
  enter(0);
  assert.is(announced.size, 5);
  assert.not(announced.has(null));
});

test('a reader that is overtaken between its look and its announcement looks again', () => {
  const stage = new Stage(1);
  stage.publish();
  const [reader] = stage.readers as [ModelReader];
  const store = Atomics.store;
  let overtakes = 3;
  // The one place to stand between the reader's two steps, where another thread may stop at any time.
  Atomics.store = ((words: Int32Array, index: number, value: number): number => {
    if (index === hazardAt(0) && value !== 0 && overtakes-- > 0) {
      Atomics.store = store;
      stage.publish(slotCountFor(1));
      Atomics.store = intruder;
    }
    return store(words, index, value);
  }) as typeof Atomics.store;
  const intruder = Atomics.store;
  try {
    const seen = reader.readCurrent((bytes, generation, version) => {
      assert.is(version, reader.current);
      assert.is(stage.publisher.announced(0), slotOf(version));
      return isWhole(bytes, generation) && generation;
    });
    assert.is(seen, 1 + 3 * slotCountFor(1));
    assert.is(stage.publisher.announced(0), null);
  } finally {
    Atomics.store = store;
  }
});

test('whatever the order of publishes and reads, no model changes while it is read', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ kind: fc.constantFrom('enter-current', 'enter-staged'), id: fc.integer({ min: 0, max: READERS - 1 }) }),
    fc.record({ kind: fc.constantFrom('leave', 'stage', 'switch') }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const stage = new Stage();
      stage.publish();
      const reading = new Set<number>();
      let isStaged = false;
      let at = 0;
      const play = (): void => {
        while (at < steps.length) {
          const next = steps[at++]!;
          if (next.kind === 'leave') return;
          if (next.kind === 'switch') {
            stage.publisher.switchToStaged();
            isStaged = false;
          } else if (next.kind === 'stage' && !isStaged) {
            stage.stage();
            isStaged = true;
          } else if (next.kind === 'publish' && 'count' in next && !isStaged) stage.publish(next.count);
          else if ('id' in next && !reading.has(next.id)) enter(next.id, next.kind === 'enter-staged');
        }
      };
      const enter = (id: number, staged: boolean): void => {
        const reader = stage.readers[id]!;
        reading.add(id);
        const use = (bytes: Uint8Array, generation: number, version: number): void => {
          assert.is(generation, stage.generation - (isStaged && !staged ? 1 : 0));
          assert.is(version, staged ? reader.staged : reader.current);
          play();
          assert.ok(isWhole(bytes, generation), `generation ${generation} in the hands of reader ${id}`);
        };
        if (staged) reader.readStaged(use);
        else reader.readCurrent(use);
        reading.delete(id);
      };
      while (at < steps.length) play();
    }),
    { seed: 8, numRuns: PROPERTY_RUNS },
  );
});

test('a staged model is not the current one until the switch, and then is', () => {
  const stage = new Stage();
  const [reader] = stage.readers as [ModelReader];
  stage.stage();
  assert.is(reader.current, NO_VERSION, 'also the first');
  stage.publisher.switchToStaged();
  const first = reader.current;
  stage.stage();
  const staged = reader.staged;
  assert.is(reader.current, first);
  assert.is.not(staged, first);
  assert.is(
    reader.readCurrent((_bytes, generation) => generation),
    1,
  );
  assert.is(
    reader.readStaged((bytes, generation) => isWhole(bytes, generation) && generation),
    2,
  );
  assert.throws(() => stage.stage(), /switched to first/);
  stage.publisher.switchToStaged();
  assert.is(reader.current, staged);
});

test('a reader is ready for what it said it was ready for, until something else is staged', () => {
  const stage = new Stage();
  stage.stage();
  assert.equal(
    stage.readers.map((_, id) => stage.publisher.isReady(id)),
    [false, false, false],
  );
  stage.readers[1]!.ready(stage.readers[1]!.staged);
  assert.equal(
    stage.readers.map((_, id) => stage.publisher.isReady(id)),
    [false, true, false],
  );
  stage.publisher.switchToStaged();
  assert.ok(stage.publisher.isReady(1));
  stage.stage();
  assert.not(stage.publisher.isReady(1));
  stage.readers[1]!.ready(stage.readers[1]!.staged);
  stage.publisher.buryReader(1);
  assert.not(stage.publisher.isReady(1), 'the next under this id is not ready yet');
});

test('a model that is too large is refused, and the current one goes on', async () => {
  const stage = new Stage();
  stage.publish();
  const [reader] = stage.readers as [ModelReader];
  const version = reader.current;
  const { code, field } = await refusalOf(() =>
    stage.publisher.publish(new Uint8Array(stage.slots.slotBytes), stage.generation + 1),
  );
  assert.equal([code, field], ['MODEL_TOO_LARGE', 'model']);
  assert.equal([reader.current, reader.staged], [version, version]);
  assert.ok(reader.readCurrent((bytes, generation) => generation === 1 && isWhole(bytes, 1)));
  stage.publish();
  assert.ok(reader.readCurrent((bytes, generation) => generation === 2 && isWhole(bytes, 2)));
});

test('versions differ from one to the next and from no version, also where their count wraps', () => {
  const slots = createModelSlots(1, 64);
  const publisher = new ModelPublisher(slots);
  const reader = new ModelReader(slots, 0);
  const bytes = new Uint8Array(1);
  publisher.publish(bytes, 1);
  assert.is(Reflect.get(publisher, 'count'), 1);
  // 16 million publishes later.
  Reflect.set(publisher, 'count', 2 ** 24 - 2);
  const versions: number[] = [];
  for (let k = 0; k < 6; k++) {
    publisher.publish(bytes, k);
    versions.push(reader.current);
    assert.is(
      reader.readCurrent((_bytes, generation) => generation),
      k,
    );
  }
  assert.is(new Set(versions).size, versions.length, versions.join());
  assert.not(versions.includes(NO_VERSION), versions.join());
  assert.is(versionOf(2 ** 24, 0), NO_VERSION);
  assert.is(versions[1], versionOf(2 ** 24 + 1, 0), 'the count that would have given no version is left out');
});

interface RaceCounts {
  readonly publishes: number;
  readonly reads: readonly number[];
  readonly torn: readonly number[];
  readonly backwards: readonly number[];
  readonly seen: readonly number[];
}

/** Two threads read while this one publishes, until every reader has seen enough and `isEnough`. */
async function race(naive: NaiveBuffers | null, isEnough: (torn: number) => boolean): Promise<RaceCounts> {
  const stage = new Stage(2);
  const counts = new SharedArrayBuffer(ModelRace.words * Int32Array.BYTES_PER_ELEMENT);
  const words = new Int32Array(counts);
  const ofReaders = (word: number): number[] => [0, 1].map((id) => Atomics.load(words, id * ModelRace.stride + word));
  const publish = (): void => {
    if (naive === null) stage.publish();
    else naive.publish(stage.next(), stage.generation);
  };
  const isOver = (): boolean => {
    if (stage.generation >= PUBLISHES_MAX) return true;
    const torn = ofReaders(ModelRace.torn).reduce((sum, count) => sum + count, 0);
    return (
      stage.generation >= RACE_PUBLISHES &&
      ofReaders(ModelRace.seen).every((seen) => seen >= SEEN_MIN) &&
      isEnough(torn)
    );
  };
  publish();
  const workerData = { slots: stage.slots, naive: naive?.buffer ?? null, counts };
  await withThread('model-reader', { ...workerData, readerId: 0 }, (first) =>
    withThread('model-reader', { ...workerData, readerId: 1 }, async (second) => {
      const stopped = Promise.all([once(first, 'message'), once(second, 'message')]);
      while (!isOver()) for (let k = 0; k < 1000; k++) publish();
      Atomics.store(words, ModelRace.stop, 1);
      await unlessHung(stopped, 'the readers do not stop');
    }),
  );
  return {
    publishes: stage.generation,
    reads: ofReaders(ModelRace.reads),
    torn: ofReaders(ModelRace.torn),
    backwards: ofReaders(ModelRace.backwards),
    seen: ofReaders(ModelRace.seen),
  };
}

test('readers racing the publisher see whole models, none older than the one before', async () => {
  const counts = await race(null, () => true);
  console.log(JSON.stringify(counts));
  assert.equal(counts.torn, [0, 0]);
  assert.equal(counts.backwards, [0, 0]);
  assert.ok(counts.publishes >= RACE_PUBLISHES);
  for (const seen of counts.seen) assert.ok(seen >= SEEN_MIN, `${seen} different models`);
});

test('readers racing a double buffer without announcements see torn models', async () => {
  const counts = await race(new NaiveBuffers(), (torn) => torn >= CONTROL_TORN_MIN);
  console.log(JSON.stringify(counts));
  assert.ok(counts.torn[0]! + counts.torn[1]! >= CONTROL_TORN_MIN, `torn: ${counts.torn.join()}`);
});

/** A thread is held in the middle of a read while this one publishes. */
async function readThrough(
  naive: NaiveBuffers | null,
): Promise<{ generation: number; before: boolean; after: boolean }> {
  const stage = new Stage(2);
  const gate = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
  const words = new Int32Array(gate);
  const publish = (): void => {
    if (naive === null) stage.publish();
    else naive.publish(stage.next(), stage.generation);
  };
  publish();
  const workerData = { slots: stage.slots, naive: naive?.buffer ?? null, readerId: 1, gate };
  return withThread('parked-model-reader', workerData, async (worker) => {
    assert.ok(changesFrom(words, 0, 0), 'the reader reaches its hold');
    const seen = once(worker, 'message');
    for (let k = 0; k < 3 * slotCountFor(2); k++) publish();
    if (naive === null) assert.is(stage.publisher.announced(1), 0);
    setWord(words, 1, 1);
    const [answer] = (await unlessHung(seen, 'the reader goes on')) as [Awaited<ReturnType<typeof readThrough>>];
    return answer;
  });
}

test('a thread held in the middle of a read finds its model as it was, however many were published meanwhile', async () => {
  assert.equal(await readThrough(null), { generation: 1, before: true, after: true });
});

test('a thread held in the middle of a double buffer finds another model in its hands', async () => {
  assert.equal(await readThrough(new NaiveBuffers()), { generation: 1, before: true, after: false });
});

test('the slot of a reader that died in the middle of a read is used again only once it is buried', async () => {
  const stage = new Stage(2);
  const gate = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
  stage.publish();
  const { current } = stage.readers[0]!;
  await withThread('parked-model-reader', { slots: stage.slots, naive: null, readerId: 1, gate }, async () => {
    assert.ok(changesFrom(new Int32Array(gate), 0, 0), 'the reader reaches its hold');
  });
  const usedSlots = (): Set<number> => {
    const used = new Set<number>();
    for (let k = 0; k < 3 * slotCountFor(2); k++) {
      stage.publish();
      used.add(slotOf(stage.readers[0]!.current));
    }
    return used;
  };
  const slot = slotOf(current);
  assert.is(stage.publisher.announced(1), slot, 'what the dead announced stays');
  assert.not(usedSlots().has(slot));
  stage.publisher.buryReader(1);
  assert.is(stage.publisher.announced(1), null);
  assert.ok(usedSlots().has(slot));
});

test.run();

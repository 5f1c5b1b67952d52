import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OrchestratorConfig } from '../../src/config.js';
import { ModelFollower } from '../../src/inference/model-follower.js';
import { Rehearsal } from '../../src/inference/rehearsal.js';
import type { ModelBundle } from '../../src/model/bundle.js';
import { encodeBundle } from '../../src/model/bundle-codec.js';
import { ModelPublisher } from '../../src/shared-memory/model-publisher.js';
import { ModelReader } from '../../src/shared-memory/model-reader.js';
import { createModelSlots, modelSlotViews, slotOf } from '../../src/shared-memory/model-slots-layout.js';
import { featureSetOf, trainingPlanOf } from '../../src/training/training-plan.js';
import { FAST_VPIN, fastTrainedBundle, relabelled } from '../support/bundles.js';
import { ManualClock } from '../support/manual-clock.js';

const READER = 0;
const OTHER_READER = 1;
/** Far more than it takes to get ready. */
const STEPS_MAX = 100_000;
const config = OrchestratorConfig.parse({ vpin: FAST_VPIN });
const featureSet = featureSetOf(trainingPlanOf(config));

interface Published {
  readonly bundle: ModelBundle;
  readonly bytes: Uint8Array;
}

/** Bundles that differ in their seeds, and so in their ids. */
async function bundles(count: number): Promise<Published[]> {
  const trained = await fastTrainedBundle();
  return Array.from({ length: count }, (_, k) => {
    const bundle = relabelled(trained, { seed: k + 1 });
    return { bundle, bytes: encodeBundle(bundle) };
  });
}

function newFollower(): { slots: ModelPublisher['shared']; publisher: ModelPublisher; follower: ModelFollower } {
  const slots = createModelSlots(2, 1024 * 1024);
  const rehearsal = new Rehearsal(config, featureSet, new ManualClock());
  return {
    slots,
    publisher: new ModelPublisher(slots),
    follower: new ModelFollower(new ModelReader(slots, READER), rehearsal),
  };
}

/** Steps until there is nothing left to do; returns how many steps that took. */
function getReady(follower: ModelFollower): number {
  let steps = 1;
  while (follower.step()) {
    steps++;
    assert.ok(steps < STEPS_MAX, 'getting ready ends');
  }
  return steps;
}

test('before the first model there is none, and nothing to get ready for', () => {
  const { publisher, follower } = newFollower();
  assert.is(follower.current(), null);
  assert.not(follower.hasWork);
  assert.not(follower.step());
  assert.is(follower.current(), null);
  assert.is(publisher.announced(READER), null);
});

test('a published model is followed as it was published, and stays the same object', async () => {
  const [first, second] = (await bundles(2)) as [Published, Published];
  const { publisher, follower } = newFollower();
  publisher.publish(first.bytes, 41);
  const served = follower.current();
  assert.is(served?.bundle.modelId, first.bundle.modelId);
  assert.is(served?.generation, 41);
  const { goldenRows, goldenConfidences } = first.bundle;
  assert.equal(served?.scorer.confidences(goldenRows), goldenConfidences);
  assert.is(follower.current(), served);
  assert.is.not(first.bundle.modelId, second.bundle.modelId);
  publisher.publish(second.bytes, 42);
  assert.is(follower.current()?.bundle.modelId, second.bundle.modelId);
  assert.is(follower.current()?.generation, 42);
});

test('a staged model answers nothing before the switch, and everything after it without being read again', async () => {
  const [first, second] = (await bundles(2)) as [Published, Published];
  const { slots, publisher, follower } = newFollower();
  publisher.publish(first.bytes, 1);
  const before = follower.current();
  publisher.stage(second.bytes, 2);
  assert.ok(follower.hasWork);
  do assert.is(follower.current(), before, 'while it gets ready');
  while (follower.step());
  assert.is(follower.current(), before, 'and once it is ready');
  // Whoever reads the slot again finds nothing there.
  const staged = slotOf(new ModelReader(slots, OTHER_READER).staged);
  modelSlotViews(slots)[staged]!.bytes.fill(0);
  publisher.switchToStaged();
  const after = follower.current();
  assert.is(after?.bundle.modelId, second.bundle.modelId);
  assert.is(after?.generation, 2);
  assert.is(follower.current(), after);
  assert.not(follower.hasWork);
});

test('the first model, too, can be staged before it is switched to', async () => {
  const [first] = (await bundles(1)) as [Published];
  const { publisher, follower } = newFollower();
  publisher.stage(first.bytes, 1);
  getReady(follower);
  assert.is(follower.current(), null);
  assert.ok(publisher.isReady(READER));
  publisher.switchToStaged();
  assert.is(follower.current()?.bundle.modelId, first.bundle.modelId);
});

test('getting ready ends, takes more than one step, and is reported at its end alone', async () => {
  const [first, second] = (await bundles(2)) as [Published, Published];
  const { publisher, follower } = newFollower();
  for (const [k, { bytes }] of [first, second].entries()) {
    publisher.stage(bytes, k + 1);
    let steps = 1;
    while (follower.step()) {
      steps++;
      assert.not(publisher.isReady(READER), `step ${steps}`);
      assert.ok(steps < STEPS_MAX, 'getting ready ends');
    }
    assert.ok(steps > 10, `${steps} steps`);
    assert.ok(publisher.isReady(READER));
    assert.not(publisher.isReady(OTHER_READER), 'each reader speaks for itself');
    assert.not(follower.hasWork);
    assert.not(follower.step());
    publisher.switchToStaged();
    assert.ok(publisher.isReady(READER));
  }
});

test('a follower that never got ready answers with the model that was switched to', async () => {
  const [first, second] = (await bundles(2)) as [Published, Published];
  const { publisher, follower } = newFollower();
  publisher.publish(first.bytes, 1);
  assert.is(follower.current()?.generation, 1);
  publisher.stage(second.bytes, 2);
  publisher.switchToStaged();
  assert.is(follower.current()?.bundle.modelId, second.bundle.modelId);
  assert.ok(follower.hasWork, 'it still has to get used to it');
  const served = follower.current();
  getReady(follower);
  assert.is(follower.current(), served, 'which does not read it again');
  assert.ok(publisher.isReady(READER));
});

test('a follower that is switched while it gets ready goes on with the same model', async () => {
  const [first, second] = (await bundles(2)) as [Published, Published];
  const { slots, publisher, follower } = newFollower();
  publisher.publish(first.bytes, 1);
  follower.current();
  publisher.stage(second.bytes, 2);
  for (let k = 0; k < 3; k++) assert.ok(follower.step());
  modelSlotViews(slots)[slotOf(new ModelReader(slots, OTHER_READER).staged)]!.bytes.fill(0);
  publisher.switchToStaged();
  assert.is(follower.current()?.bundle.modelId, second.bundle.modelId);
  assert.not(publisher.isReady(READER));
  getReady(follower);
  assert.ok(publisher.isReady(READER));
});

test('of several models published between two looks the newest counts', async () => {
  const [first, ...later] = (await bundles(8)) as [Published, ...Published[]];
  const { publisher, follower } = newFollower();
  publisher.publish(first.bytes, 1);
  assert.is(follower.current()?.generation, 1);
  for (const [k, { bytes }] of later.entries()) publisher.publish(bytes, k + 2);
  assert.is(follower.current()?.generation, 8);
  assert.is(follower.current()?.bundle.modelId, later.at(-1)!.bundle.modelId);
  getReady(follower);
  assert.ok(publisher.isReady(READER));
});

test('a model that was got ready for and then overtaken is not answered with', async () => {
  const [first, second, third] = (await bundles(3)) as [Published, Published, Published];
  const { publisher, follower } = newFollower();
  publisher.publish(first.bytes, 1);
  follower.current();
  publisher.stage(second.bytes, 2);
  getReady(follower);
  publisher.switchToStaged();
  publisher.publish(third.bytes, 3);
  assert.is(follower.current()?.bundle.modelId, third.bundle.modelId);
  assert.is(follower.current()?.generation, 3);
  assert.not(publisher.isReady(READER));
});

test('nothing stays announced between two looks, so a follower holds no slot', async () => {
  const [first, second] = (await bundles(2)) as [Published, Published];
  const { publisher, follower } = newFollower();
  publisher.publish(first.bytes, 1);
  follower.current();
  assert.is(publisher.announced(READER), null);
  publisher.stage(second.bytes, 2);
  do assert.is(publisher.announced(READER), null);
  while (follower.step());
});

test.run();

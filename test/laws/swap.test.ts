import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeBundle } from '../../src/model/bundle-codec.js';
import { bundleFor } from '../support/bundles.js';
import { stopAll } from '../support/opened.js';
import { refusalOf } from '../support/refusal.js';
import { SWAP_SIGNALS, SWAPS } from '../support/sizes.js';
import { SwapDrill } from '../support/swap-drill.js';

test.after.each(stopAll);

for (const config of [{ dispatch: 'pool', workers: 2 } as const, { dispatch: 'auto', workers: 2 } as const]) {
  test(`no swap loses, doubles or mixes an answer, nor takes one back to an older model (${config.dispatch})`, async () => {
    const drill = await SwapDrill.open(config);
    const figures = await drill.run(SWAP_SIGNALS / 2, SWAPS / 2);
    await drill.orchestrator.stop();
    const { generations, ...rest } = figures;
    assert.equal(rest, {
      signals: SWAP_SIGNALS / 2,
      swaps: SWAPS / 2,
      lost: 0,
      doubled: 0,
      degraded: 0,
      unpublished: 0,
      mixed: 0,
      backwards: 0,
      outdated: 0,
    });
    assert.ok(generations > SWAPS / 4, `only ${generations} generations answered`);
  });
}

test('the models of the drill answer every signal but flat ones differently: the control', async () => {
  const drill = await SwapDrill.open({ dispatch: 'inline' });
  const [first, ...others] = drill.modelIds;
  for (const other of others) {
    const shared = drill.sharedAnswers(first!, other);
    assert.ok(shared.length > 0);
    for (const { signal } of shared) assert.is(signal, 0);
  }
  await drill.orchestrator.stop();
});

test('a damaged or foreign bundle is refused in the middle of the signals, and the serving one goes on', async () => {
  const drill = await SwapDrill.open({ dispatch: 'pool', workers: 1 });
  const { orchestrator } = drill;
  const serving = orchestrator.model!;
  const swaps: unknown[] = [];
  orchestrator.events.on('modelSwapped', (swap) => swaps.push(swap));
  const foreign = encodeBundle(await bundleFor({ featureNames: ['volatility', 'side'] }));
  const damaged = encodeBundle(serving);
  damaged[damaged.length >> 1]! ^= 1;
  const wrong: [Uint8Array, string][] = [
    [damaged, 'MODEL_CORRUPT'],
    [encodeBundle(serving).subarray(0, 1000), 'MODEL_CORRUPT'],
    [foreign, 'MODEL_FEATURES_DIFFER'],
  ];
  const signal = { instrumentId: 'X', signal: 1, timestamp: 1n << 62n } as const;
  for (const [bytes, code] of wrong) {
    const before = orchestrator.processSignal(signal);
    assert.is((await refusalOf(() => orchestrator.hotSwapModel(bytes))).code, code);
    for (const answer of [await before, await orchestrator.processSignal(signal)]) {
      assert.equal([answer.modelId, answer.generation], [serving.modelId, 1]);
    }
  }
  assert.equal(swaps, []);
  assert.is(orchestrator.model?.modelId, serving.modelId);
  await orchestrator.stop();
});

test.run();

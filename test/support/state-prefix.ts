import * as assert from 'uvu/assert';
import { FeatureStoreWriter } from '../../src/shared-memory/feature-store-writer.js';
import { firstDifference } from './first-difference.js';
import { openWired, STATE_VPIN, stateBar, stateOutcome, stateSignal } from './state.js';

/** Opens what another process wrote in steps of bar k, signal k and outcome k − 5, checks that it is a whole number of steps, to the last bit, and returns how many. */
export async function checkPrefix(dataDir: string): Promise<number> {
  const { store, features } = await openWired<{ count: number }>(dataDir, () => ({ count: 0 }));
  const count = store.snapshot?.count ?? 0;
  store.restoreWindows();
  const numbers = Array.from({ length: count }, (_, k) => k);
  const signals = numbers.map((k) => stateSignal(k));
  const outcomes = numbers.slice(5).map((k) => stateOutcome(k - 5));
  const closes = numbers.map((k) => stateBar(k).close);
  assert.is(firstDifference(store.stored.signals(), signals), -1, 'every signal, and no other');
  assert.is(firstDifference(store.stored.outcomes(), outcomes), -1, 'every outcome, and no other');
  const stored = [...store.stored.bars('X')].flatMap((bars) => [...bars.columns.close]);
  assert.is(firstDifference(stored, closes), -1, 'every bar, and no other');
  const whole = new FeatureStoreWriter({ instrumentsMax: 8, barsPerInstrument: 256, vpin: STATE_VPIN });
  for (const k of numbers) whole.append('X', stateBar(k));
  if (count > 0) {
    assert.is(features.newest(0), count - 1);
    assert.equal(features.vpinState(0), whole.vpinState(0), 'VPIN goes on as if it had never stopped');
    const same = Buffer.from(features.shared.buffer).equals(Buffer.from(whole.shared.buffer));
    assert.ok(same, 'the same bits lie in the ring');
  }
  await store.close();
  return count;
}
